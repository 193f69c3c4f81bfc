// The outbound half of a run, as far as nobody must overlook what it comes to: a real queue on disk, and one host in
// memory that is the smart host and the local target.

#include "app/outbound.hpp"

#include <sys/resource.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <set>

#include "smart_host.hpp"

namespace odmr::test {

namespace {

using queue::Stopped;

struct Office {
  Office() {
    settings.state_dir = directory.path();
    settings.hostname = "mail.example.org";
    settings.outbound.emplace();
    settings.outbound->endpoint = net::Endpoint{"smart.example.net", 587, {}};
    settings.outbound->tls.policy = client::TlsPolicy::none;
    settings.outbound->max_connections = 1;
    settings.deliver.endpoint = net::Endpoint{"localhost", 25, {}};
    settings.deliver.tls.policy = client::TlsPolicy::none;
  }

  std::string place() const { return queue::directory_in(directory.path()); }
  std::string held(const std::string& id) const { return place() + "/held/" + id; }

  std::string put(const std::string& subject, const std::vector<std::string>& recipients = {"b@example.net"},
                  const std::string& reverse_path = "a@example.org") {
    auto store = spool::Store::in(place());
    // One after the other, at a time that stands still.
    const auto arrival = simulation.wall() - std::chrono::seconds(1) + std::chrono::microseconds(++messages);
    spool::Envelope envelope{arrival, reverse_path, {}, {}};
    for (const auto& one : recipients) envelope.recipients.push_back({one, {}});
    auto draft = store->begin(envelope);
    REQUIRE(draft->write("Subject: " + subject + "\r\n\r\ntext\r\n"));
    return draft->commit().value();
  }

  void damage(const std::string& id) const {
    auto bytes = read_file(held(id));
    bytes[bytes.find("text")] ^= 1;
    write_file(held(id), bytes);
  }

  std::optional<app::SessionReport> run(bool all = false);

  queue::Queue open() {
    auto queue = queue::Queue::in(place(), {}, simulation, log);
    REQUIRE(queue);
    REQUIRE(queue->refresh());
    return std::move(*queue);
  }
  queue::Entry entry(const std::string& id) { return open().show(id).value(); }

  int messages = 0;
  TemporaryDirectory directory;
  app::Settings settings;
  RecordedLog log;
  Stop stop;
  net::Simulation simulation;
  SmartHost host{simulation};
  std::unique_ptr<net::Worker> disk = net::make_inline_worker();
};

// As app::run() has it.
net::Task<> run_once(Office& office, bool all, std::optional<app::SessionReport>& report) {
  app::Outbound::OnProgress nobody;
  app::Keyring keyring;
  app::Outbound outbound(office.settings, all, keyring, office.host, *office.disk, std::move(nobody), office.log,
                         office.stop);
  const bool is_ready = co_await outbound.prepare();
  if (is_ready) {
    co_await outbound.send();
    co_await outbound.send_what_came_meanwhile();
    co_await outbound.tell_senders();
    co_await outbound.say_what_is_stuck();
  }
  report = outbound.report();
}

std::optional<app::SessionReport> Office::run(bool all) {
  log.text.clear();
  std::optional<app::SessionReport> report;
  REQUIRE(simulation.run(run_once(*this, all, report)));
  simulation.settle();
  return report;
}

// No file may grow, as with `ulimit -f 0`.
class NoRoom {
 public:
  NoRoom() : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit none{0, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &none);
  }
  ~NoRoom() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }
  NoRoom(const NoRoom&) = delete;
  NoRoom& operator=(const NoRoom&) = delete;

 private:
  rlimit old_{};
  void (*old_handler_)(int);
};

auto refuses(const std::string& words, const std::string& reply) {
  return [words, reply](const Moment& moment) -> std::optional<Act> {
    if (moment.line.find(words) == std::string::npos) return std::nullopt;
    return Act{reply, false, false};
  };
}

std::size_t lines_with(const std::string& text, const std::string& words) {
  std::size_t number = 0;
  for (auto at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) ++number;
  return number;
}

}  // namespace

TEST_CASE("outbound: where nothing can be written down nothing is sent, however often it is tried", "[outbound]") {
  Office office;
  office.put("mixed", {"good@example.net", "late@example.net"});
  office.host.mood = refuses("late@", "450 4.2.1 busy");
  for (int i = 0; i < 3; ++i) {
    std::optional<app::SessionReport> report;
    {
      const NoRoom no_room;
      report = office.run(true);
    }
    REQUIRE(report);
    CHECK(report->outcome == Outcome::state);
    CHECK(report->text.find("cannot be written down") != std::string::npos);
  }
  CHECK(office.host.times("MAIL") == 0);
  CHECK(office.run(true)->outcome == Outcome::deferred);
  CHECK(office.host.taken.size() == 1);
  CHECK(std::filesystem::exists(office.place() + "/held"));
}

TEST_CASE("outbound: where nothing can be written down no sender is told, either", "[outbound]") {
  Office office;
  office.put("fails");
  office.host.mood = [](const Moment& moment) -> std::optional<Act> {
    if (moment.line.find("b@example.net") != std::string::npos) return Act{"550 5.1.1 nobody", false, false};
    if (moment.step == "connect" && moment.connection == 2) return Act{};  // the local target
    return std::nullopt;
  };
  CHECK(office.run()->outcome == Outcome::deferred);
  office.host.mood = nullptr;
  for (int i = 0; i < 3; ++i) {
    const NoRoom no_room;
    CHECK(office.run(true)->outcome == Outcome::state);
  }
  CHECK(office.host.taken.empty());
  CHECK_FALSE(office.run(true));
  CHECK(office.host.taken.size() == 1);
}

TEST_CASE("outbound: a damaged message is the run's outcome, and the other mail goes", "[outbound]") {
  Office office;
  const auto id = office.put("bad");
  office.put("good");
  office.damage(id);
  const auto report = office.run();
  REQUIRE(report);
  CHECK(report->outcome == Outcome::state);
  CHECK(report->text.find("corrupt/" + id) != std::string::npos);
  CHECK(report->sent->messages == 1);
  CHECK(office.host.count("good") == 1);
  CHECK(std::filesystem::exists(office.place() + "/corrupt/" + id));
  for (int i = 0; i < 2; ++i) {
    CHECK_FALSE(office.run());
    CHECK(lines_with(office.log.text, "warn damaged messages were set aside") == 1);
    CHECK(office.log.has("messages=1 folder=" + office.place() + "/corrupt"));
  }
}

TEST_CASE("outbound: a message that cannot be read is the run's outcome, every time, and the other mail goes",
          "[outbound]") {
  const bool is_known = GENERATE(false, true);
  Office office;
  const auto id = office.put("unread");
  if (is_known) office.open();
  office.put("good");
  REQUIRE(::mkfifo((office.held(id) + ".done").c_str(), 0600) == 0);
  for (int i = 0; i < 2; ++i) {
    const auto report = office.run();
    REQUIRE(report);
    CHECK(report->outcome == Outcome::deferred);
    CHECK(report->text.find("held/" + id) != std::string::npos);
  }
  CHECK(office.host.count("good") == 1);
  CHECK(office.host.count("unread") == 0);
  {
    // A list tells it either way: beside the entries, or as why one is still there.
    auto queue = office.open();
    std::vector<std::string> words;
    REQUIRE(queue.list([&](const queue::Entry& entry) {
      words.push_back(entry.reply);
      return true;
    }));
    CHECK(queue.left_alone().size() == (is_known ? 0 : 1));
    CHECK(words.size() == (is_known ? 1 : 0));
    for (const auto& reply : words) CHECK(reply.find("it cannot be read") == 0);
  }
  std::filesystem::remove(office.held(id) + ".done");
  CHECK(office.run()->outcome == Outcome::sent);
}

TEST_CASE("outbound: what is no message, and lies there, is nobody's outcome", "[outbound]") {
  Office office;
  office.put("good");
  write_file(office.held("README"), "x");
  CHECK(office.run()->outcome == Outcome::sent);
  CHECK_FALSE(office.run());
}

TEST_CASE("outbound: a bounce that is refused is the run's outcome, and the word of every run after it", "[outbound]") {
  Office office;
  std::vector<std::string> ids;
  for (int i = 0; i < 12; ++i) ids.push_back(office.put("fails"));
  office.host.mood = [](const Moment& moment) -> std::optional<Act> {
    if (moment.line.find("RCPT TO:<b@") != std::string::npos) return Act{"550 5.1.1 nobody", false, false};
    if (moment.line.find("RCPT TO:<a@") != std::string::npos) return Act{"550 5.7.1 no bounces", false, false};
    return std::nullopt;
  };
  const auto report = office.run();
  REQUIRE(report);
  CHECK(report->outcome == Outcome::deferred);
  CHECK(report->text.find(ids.front() + ": 550 5.7.1 no bounces") != std::string::npos);
  for (int i = 0; i < 2; ++i) {
    CHECK_FALSE(office.run());
    CHECK(lines_with(office.log.text, "warn a message is undeliverable") == 10);
    CHECK(office.log.has("id=" + ids.front() + " from=<a@example.org> reply=550 5.7.1 no bounces"));
    CHECK(lines_with(office.log.text, "warn more messages are undeliverable") == 1);
    CHECK(office.log.has(" messages=2\n"));
  }
  const auto entry = office.entry(ids.front());
  CHECK(entry.stopped == Stopped::undeliverable);
  CHECK(entry.reply == "550 5.7.1 no bounces");
  CHECK(entry.recipients.front().reply == "550 5.1.1 nobody");
}

TEST_CASE("outbound: the list knows why nothing could be sent, and no try is counted", "[outbound]") {
  for (const std::string step : {"connect", "greeting", "EHLO"}) {
    INFO(step);
    Office office;
    const auto id = office.put("waits");
    office.host.mood = [step](const Moment& moment) -> std::optional<Act> {
      if (moment.step != step) return std::nullopt;
      return Act{"554 5.7.1 go away", false, false};
    };
    const auto report = office.run();
    CHECK(report->outcome == Outcome::unavailable);
    const auto entry = office.entry(id);
    CHECK(entry.reply == report->text);
    CHECK_FALSE(entry.reply.empty());
    CHECK(entry.tries == 0);
    office.host.mood = nullptr;
    CHECK(office.run()->outcome == Outcome::sent);
  }
}

TEST_CASE("outbound: what waits for its own time keeps its own last word", "[outbound]") {
  Office office;
  const auto late = office.put("late");
  office.host.mood = refuses("RCPT", "450 4.2.1 busy");
  CHECK(office.run()->outcome == Outcome::deferred);
  const auto fresh = office.put("fresh");
  office.host.mood = [](const Moment& moment) -> std::optional<Act> {
    if (moment.step != "connect") return std::nullopt;
    return Act{};
  };
  CHECK(office.run()->outcome == Outcome::unavailable);
  CHECK(office.entry(late).reply.find("450 4.2.1 busy") == 0);
  CHECK(office.entry(fresh).reply.find("connection refused") != std::string::npos);
}

TEST_CASE("outbound: mail that no [outbound] would send is counted, and nothing is made to count it", "[outbound]") {
  Office office;
  CHECK(app::count_waiting(office.settings) == 0);
  CHECK_FALSE(std::filesystem::exists(office.place()));
  const auto id = office.put("one");
  office.put("two");
  write_file(office.held(id) + ".done", "");
  CHECK(app::count_waiting(office.settings) == 2);
}

}  // namespace odmr::test
