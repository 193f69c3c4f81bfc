#include "app/notices.hpp"
#include "recorded_log.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <map>

#include "../pure/fake_files.hpp"
#include "../pure/temporary_directory.hpp"
#include "mail/fields.hpp"
#include "net/memory.hpp"
#include "queue/attributes.hpp"
#include "server/channel.hpp"
#include "smtp/dot.hpp"

using namespace odmr;
using namespace std::string_literals;
using net::Task;
using test::FailingFiles;
using test::TemporaryDirectory;

namespace {

const std::string k_header = "Subject: hello\r\nX-Long: a\r\n b\r\n";
const std::string k_message = k_header + "\r\nthe body\r\n.\r\n";

// No call to the disk is left out but fsync, which costs a thousand times what the rest does.
FileOps& unsynced() {
  class Files final : public test::WatchedFiles {
   public:
    Result<void> sync(int /*file*/) override { return {}; }

   private:
    Step step(const std::string& /*call*/) override { return Step::act; }
  };
  static Files files;
  return files;
}

// What the local target says. "cut" for a reply: the line is lost.
struct Script {
  std::string ehlo = "local\n8BITMIME\nSIZE 100000\nSMTPUTF8";
  // Replies of each kind, in turn, the last one from then on: "MAIL", "RCPT", "DATA", ".".
  std::map<std::string, std::vector<std::string>> replies;
};

struct Taken {
  std::string mail, rcpt, content;
};

struct House {
  std::string put(const spool::Envelope& envelope, const std::string& message = k_message) {
    auto store = spool::Store::in(directory / "queue", unsynced());
    REQUIRE(store);
    auto draft = store->begin(envelope);
    REQUIRE(draft);
    REQUIRE(draft->write(message));
    return draft->commit().value();
  }

  queue::Queue open() {
    auto queue = queue::Queue::in(directory / "queue", queue_options, simulation, log, *files);
    REQUIRE(queue);
    REQUIRE(queue->recover());
    REQUIRE(queue->refresh());
    return std::move(*queue);
  }

  // Every message waiting fails so for its recipients.
  void fail_all(const smtp::Reply& reply) {
    auto queue = open();
    const auto due = queue.due(true, 1000).value();
    for (const auto& id : due) {
      auto letter = queue.take(id).value();
      REQUIRE(letter);
      queue::Attempt attempt;
      attempt.id = id;
      for (const auto place : letter->waiting) attempt.failed.push_back({place, reply});
      for (const auto& settled : queue.settle({attempt})) REQUIRE(settled);
    }
  }

  std::vector<queue::Entry> entries() {
    auto queue = open();
    std::vector<queue::Entry> all;
    REQUIRE(queue.list([&](const queue::Entry& entry) {
      all.push_back(entry);
      return true;
    }));
    return all;
  }

  app::NoticesReport run();

  TemporaryDirectory directory;
  FileOps* files = &unsynced();
  queue::QueueOptions queue_options;
  app::NoticeOptions options;
  bool is_down = false;
  deliver::TargetOptions::Kind kind = deliver::TargetOptions::Kind::smtp;
  Script script;
  std::vector<Taken> taken;
  std::vector<std::string> said;  // to the target, a line each
  std::size_t connections = 0;
  std::function<void()> on_taken = [] {};
  std::function<void()> on_connect = [] {};
  test::RecordedLog log;
  Stop stop;
  std::unique_ptr<net::Worker> worker = net::make_inline_worker();
  net::Simulation simulation;  // last: its conversations look at all the others
};

class LocalTarget {
 public:
  LocalTarget(House& house, net::Stream stream)
      : house_(house), channel_(std::move(stream), silent_log(), std::chrono::minutes(1)) {}

  Task<> attend() {
    channel_.reply(smtp::Reply(220, "local"));
    for (bool goes_on = true; goes_on;) {
      const auto line = co_await channel_.read_line(4000, house_.simulation.now() + std::chrono::hours(24));
      if (!line) co_return;
      house_.said.push_back(line->text);
      goes_on = co_await obey(line->text);
    }
    co_await channel_.flush();
  }

 private:
  Task<bool> obey(std::string line) {
    switch (smtp::parse_command(line).verb) {
      case smtp::Verb::ehlo:
      case smtp::Verb::lhlo:
        channel_.reply(capabilities());
        co_return true;
      case smtp::Verb::mail:
        now_ = Taken{line, "", ""};
        co_return say("MAIL", "250 2.1.0 ok");
      case smtp::Verb::rcpt:
        now_.rcpt = line;
        co_return say("RCPT", "250 2.1.5 ok");
      case smtp::Verb::data:
        if (!say("DATA", "354 go on")) co_return false;
        if (last_.starts_with("354")) co_return co_await content();
        co_return true;
      case smtp::Verb::quit:
        channel_.reply(smtp::Reply(221, "bye"));
        co_return false;
      default:
        channel_.reply(smtp::Reply(250, "2.0.0 ok"));
        co_return true;
    }
  }

  smtp::Reply capabilities() const {
    smtp::Reply reply(250, std::vector<std::string>());
    std::string_view left = house_.script.ehlo;
    while (!left.empty()) {
      const auto line = left.substr(0, left.find('\n'));
      reply.lines.emplace_back(line);
      left.remove_prefix(std::min(left.size(), line.size() + 1));
    }
    return reply;
  }

  // Gives whether the line is still there.
  bool say(const std::string& what, const std::string& usual) {
    auto& scripted = house_.script.replies[what];
    last_ = scripted.empty() ? usual : scripted.front();
    if (scripted.size() > 1) scripted.erase(scripted.begin());
    if (last_ == "cut") return false;
    channel_.reply(smtp::Reply(std::stoi(last_.substr(0, 3)), last_.substr(4)));
    return true;
  }

  Task<bool> content() {
    co_await channel_.flush();
    smtp::DotDecoder decoder;
    for (bool ended = false; !ended;) {
      if (channel_.stream().buffered().empty()) {
        const auto filled = co_await channel_.stream().fill(house_.simulation.now() + std::chrono::hours(24));
        if (!filled) co_return false;
      }
      const auto progress = decoder.decode(channel_.stream().buffered(), now_.content);
      channel_.stream().consume(progress.consumed);
      ended = progress.ended;
    }
    const bool is_there = say(".", "250 2.0.0 taken");
    if (is_there && last_.starts_with("250")) {
      house_.taken.push_back(now_);
      house_.on_taken();
    }
    co_return is_there;
  }

  House& house_;
  server::Channel channel_;
  Taken now_;
  std::string last_;
};

Task<> attend(House& house, net::Stream stream) {
  LocalTarget target(house, std::move(stream));
  co_await target.attend();
}

class LocalNetwork final : public net::Network {
 public:
  explicit LocalNetwork(House& house) : house_(house) {}
  Clock& clock() override { return house_.simulation; }

  Task<Result<net::Stream>> connect(const net::Endpoint& /*endpoint*/, Duration /*patience*/, Stop& /*stop*/) override {
    ++house_.connections;
    if (house_.connections == 1) house_.on_connect();
    if (house_.is_down) co_return fail(Errc::unreachable, "localhost:25: connection refused");
    auto line = net::memory_line(house_.simulation, "127.0.0.1:25", "127.0.0.1:4711");
    house_.simulation.start(attend(house_, net::Stream(std::move(line.second), house_.simulation)));
    co_return net::Stream(std::move(line.first), house_.simulation);
  }

 private:
  House& house_;
};

Task<> tell(House& house, queue::Queue& queue, const deliver::TargetOptions& target, app::NoticesReport& report) {
  LocalNetwork network(house);
  report = co_await app::send_notices(queue, target, house.options, network, *house.worker, house.log, house.stop,
                                      *house.files);
}

app::NoticesReport House::run() {
  auto queue = open();
  deliver::TargetOptions target;
  target.kind = kind;
  target.hostname = target.server.hostname = "mail.example.org";
  target.server.endpoint.host = "localhost";
  target.server.endpoint.port = 25;
  target.server.tls = client::TlsPolicy::none;
  target.directory = directory / "maildir";
  app::NoticesReport report;
  REQUIRE(simulation.run(tell(*this, queue, target, report)));
  simulation.settle();
  return report;
}

spool::Envelope envelope_from(const std::string& reverse_path, spool::Attributes attributes = {}) {
  spool::Envelope envelope;
  envelope.arrival = net::Simulation().wall() - std::chrono::minutes(1);
  envelope.reverse_path = reverse_path;
  envelope.attributes = std::move(attributes);
  envelope.recipients = {{"bob@example.net", {{"orcpt", "rfc822;bob+40example.net"}}}};
  return envelope;
}

const smtp::Reply k_unknown(550, "5.1.1 no such user");

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::size_t count_of(const std::vector<std::string>& lines, std::string_view verb) {
  return static_cast<std::size_t>(
      std::count_if(lines.begin(), lines.end(), [&](const std::string& line) { return line.starts_with(verb); }));
}

// The two sums of a run that say what happened to the one notice there was.
struct Sums {
  std::uint64_t told, put_off, undeliverable;
};
void check(const app::NoticesReport& report, const Sums& sums) {
  CHECK(report.told == sums.told);
  CHECK(report.put_off == sums.put_off);
  CHECK(report.undeliverable == sums.undeliverable);
}

}  // namespace

TEST_CASE("notices: the sender hears of a failure through the local target, once", "[notices]") {
  House house;
  house.put(envelope_from("anna@example.org", {{"envid", "Q7"}}));
  house.fail_all(k_unknown);
  check(house.run(), {1, 0, 0});
  REQUIRE(house.taken.size() == 1);
  const auto& notice = house.taken.front();
  CHECK(notice.mail.starts_with("MAIL FROM:<> SIZE="));
  CHECK_FALSE(contains(notice.mail, "BODY="));
  CHECK_FALSE(contains(notice.mail, "SMTPUTF8"));
  CHECK(notice.rcpt == "RCPT TO:<anna@example.org>");
  CHECK(notice.content.starts_with("Date: "));
  CHECK(contains(notice.content, "\r\nTo: <anna@example.org>\r\n"));
  CHECK(contains(notice.content, "\r\nOriginal-Envelope-Id: Q7\r\n"));
  CHECK(contains(notice.content, "\r\nOriginal-Recipient: rfc822; bob@example.net\r\n"));
  CHECK(contains(notice.content, "\r\nAction: failed\r\nStatus: 5.1.1\r\n"));
  CHECK(contains(notice.content, "Content-Type: text/rfc822-headers\r\n\r\n" + k_header + "\r\n--=_"));
  CHECK_FALSE(contains(notice.content, "the body"));
  CHECK(house.entries().empty());
  check(house.run(), {0, 0, 0});
  CHECK(house.taken.size() == 1);
}

TEST_CASE("notices: each of many is written down before the next one is begun", "[notices]") {
  House house;
  for (int i = 0; i < 5; ++i) house.put(envelope_from("anna@example.org"));
  house.fail_all(k_unknown);
  std::vector<std::size_t> left;
  house.on_taken = [&] { left.push_back(spool::Store::in(house.directory / "queue")->list()->ids.size()); };
  check(house.run(), {5, 0, 0});
  CHECK(left == std::vector<std::size_t>{5, 4, 3, 2, 1});
  CHECK(house.connections == 1);
}

TEST_CASE("notices: what is returned is what the message asks for, else what is configured", "[notices]") {
  struct Case {
    std::string ret;
    bool configured, whole;
  };
  for (const auto& [ret, configured, whole] :
       std::vector<Case>{{"", false, false}, {"", true, true}, {"FULL", false, true}, {"HDRS", true, false}}) {
    CAPTURE(ret, configured);
    House house;
    house.options.whole_message = configured;
    house.put(envelope_from("anna@example.org", ret.empty() ? spool::Attributes() : spool::Attributes{{"ret", ret}}));
    house.fail_all(k_unknown);
    check(house.run(), {1, 0, 0});
    REQUIRE(house.taken.size() == 1);
    CHECK(contains(house.taken[0].content, whole ? "Content-Type: message/rfc822\r\n\r\n" + k_message + "\r\n--=_"
                                                 : "Content-Type: text/rfc822-headers\r\n\r\n" + k_header + "\r\n--="));
  }
}

TEST_CASE("notices: a large message comes back whole", "[notices]") {
  House house;
  house.script.ehlo = "local";
  std::string message = k_header + "\r\n";
  while (message.size() < 1'000'000) message += "0123456789 line\r\n..\r\n";
  house.put(envelope_from("anna@example.org", {{"ret", "FULL"}}), message);
  house.fail_all(k_unknown);
  check(house.run(), {1, 0, 0});
  REQUIRE(house.taken.size() == 1);
  CHECK(contains(house.taken[0].content, message + "\r\n--=_"));
}

TEST_CASE("notices: a notice of delay has the header alone, and the message waits on", "[notices]") {
  House house;
  house.queue_options.delay_notice = std::chrono::hours(4);
  auto envelope = envelope_from("anna@example.org", {{"ret", "FULL"}});
  envelope.arrival -= std::chrono::hours(5);
  const auto id = house.put(envelope);
  {
    auto queue = house.open();
    REQUIRE(queue.take(id).value());
    queue::Attempt attempt;
    attempt.id = id;
    attempt.put_off.push_back({0, smtp::Reply(451, "4.3.0 later")});
    for (const auto& settled : queue.settle({attempt})) REQUIRE(settled);
  }
  check(house.run(), {1, 0, 0});
  REQUIRE(house.taken.size() == 1);
  CHECK(contains(house.taken[0].content, "\r\nAction: delayed\r\nStatus: 4."));
  CHECK(contains(house.taken[0].content, "\r\nWill-Retry-Until: "));
  CHECK_FALSE(contains(house.taken[0].content, "the body"));
  REQUIRE(house.entries().size() == 1);
  CHECK(house.entries()[0].recipients[0].standing == queue::Standing::waiting);
  check(house.run(), {0, 0, 0});
}

TEST_CASE("notices: what each reply of the target means", "[notices]") {
  struct Case {
    std::string step, reply;
    Sums sums;
    std::size_t mails;  // said for the two messages there are
  };
  for (const auto& [step, reply, sums, mails] : std::vector<Case>{
           {"MAIL", "451 4.3.0 later", {0, 1, 0}, 1},
           {"MAIL", "550 5.7.1 no bounces here", {0, 1, 0}, 1},
           {"MAIL", "421 4.3.2 closing", {0, 1, 0}, 2},  // a connection that may have died of age is opened once more
           {"MAIL", "cut", {0, 1, 0}, 2},
           {"RCPT", "450 4.2.1 later", {0, 2, 0}, 2},
           {"RCPT", "550 5.1.1 unknown", {0, 0, 2}, 2},
           {"RCPT", "cut", {0, 2, 0}, 2},
           {"DATA", "451 4.3.0 later", {0, 2, 0}, 2},
           {"DATA", "554 5.7.1 no", {0, 0, 2}, 2},
           {"DATA", "cut", {0, 2, 0}, 2},
           {".", "452 4.3.1 full", {0, 2, 0}, 2},
           {".", "554 5.7.1 spam", {0, 0, 2}, 2},
           {".", "cut", {0, 2, 0}, 2},
       }) {
    CAPTURE(step, reply);
    House house;
    house.put(envelope_from("anna@example.org"));
    house.put(envelope_from("carl@example.org"));
    house.fail_all(k_unknown);
    house.script.replies[step] = {reply};
    const auto report = house.run();
    check(report, sums);
    CHECK_FALSE(report.state_error);
    CHECK(house.taken.empty());
    CHECK(count_of(house.said, "MAIL") == mails);
    CHECK(house.entries().size() == 2);  // nothing is forgotten
    CHECK(contains(house.log.text, "error the sender of a message cannot be told") == (sums.undeliverable > 0));
    for (const auto& entry : house.entries()) {
      CHECK((entry.stopped == queue::Stopped::undeliverable) == (sums.undeliverable > 0));
    }
  }
}

TEST_CASE("notices: a target that is down is asked once, and the notices wait", "[notices]") {
  House house;
  for (int i = 0; i < 20; ++i) house.put(envelope_from("anna@example.org"));
  house.fail_all(k_unknown);
  house.is_down = true;
  check(house.run(), {0, 1, 0});
  CHECK(house.connections == 1);
  CHECK(house.entries().size() == 20);
  house.is_down = false;
  check(house.run(), {19, 0, 0});  // the other one has been put off
  CHECK(house.entries().size() == 1);
}

TEST_CASE("notices: nothing to tell, no connection", "[notices]") {
  House house;
  house.put(envelope_from("anna@example.org"));
  check(house.run(), {0, 0, 0});
  CHECK(house.connections == 0);
}

TEST_CASE("notices: a whole message that is refused is told of with its header", "[notices]") {
  for (const std::string& step : {"MAIL"s, "DATA"s, "."s}) {
    CAPTURE(step);
    House house;
    house.put(envelope_from("anna@example.org", {{"ret", "FULL"}}));
    house.fail_all(k_unknown);
    const std::string usual = step == "DATA" ? "354 go on" : "250 2.0.0 ok";
    house.script.replies[step] = {"552 5.3.4 too large", usual};
    check(house.run(), {1, 0, 0});
    REQUIRE(house.taken.size() == 1);
    CHECK(contains(house.taken[0].content, "text/rfc822-headers"));
  }
}

TEST_CASE("notices: of a message that is damaged while it is sent the sender is told with its header", "[notices]") {
  for (const std::string& ret : {"FULL"s, "HDRS"s}) {
    CAPTURE(ret);
    House house;
    const auto id = house.put(envelope_from("anna@example.org", {{"ret", ret}}), k_message + std::string(100'000, 'x'));
    house.fail_all(k_unknown);
    house.on_connect = [&] {
      const std::string path = house.directory / ("queue/held/" + id);
      auto bytes = test::read_file(path);
      bytes[bytes.find("the body")] = 'T';
      test::write_file(path, bytes);
    };
    check(house.run(), {1, 0, 0});
    REQUIRE(house.taken.size() == 1);
    CHECK(contains(house.taken[0].content, "text/rfc822-headers\r\n\r\n" + k_header + "\r\n--=_"));
    CHECK_FALSE(contains(house.taken[0].content, "he body"));
  }
}

TEST_CASE("notices: 8 bits and UTF-8 are asked for where they are needed", "[notices]") {
  struct Case {
    std::string sender, header, smtputf8, ehlo;
    Sums sums;
    std::string parameters, type;
  };
  const std::string latin = "Subject: \xfc\r\n";
  const std::string utf8 = "Subject: ü\r\n";
  const std::string all = "local\n8BITMIME\nSMTPUTF8";
  for (const auto& [sender, header, smtputf8, ehlo, sums, parameters, type] : std::vector<Case>{
           {"anna@example.org", latin, "", all, {1, 0, 0}, " BODY=8BITMIME", "text/rfc822-headers"},
           {"anna@example.org", latin, "", "local", {1, 0, 0}, "", "text/rfc822-headers"},
           {"anna@example.org", utf8, "header", all, {1, 0, 0}, " BODY=8BITMIME", "message/global-headers"},
           {"anna@example.org", utf8, "header", "local\n8BITMIME", {1, 0, 0}, " BODY=8BITMIME", "text/rfc822-headers"},
           {"änne@example.org", utf8, "envelope", all, {1, 0, 0}, " BODY=8BITMIME SMTPUTF8", "message/global-headers"},
           {"änne@example.org", utf8, "envelope", "local\n8BITMIME", {0, 0, 1}, "", ""},
       }) {
    CAPTURE(sender, header, ehlo);
    House house;
    house.script.ehlo = ehlo;
    spool::Attributes attributes;
    if (!smtputf8.empty()) attributes[queue::k_smtputf8] = smtputf8;
    house.put(envelope_from(sender, attributes), header + "\r\nx\r\n");
    house.fail_all(k_unknown);
    check(house.run(), sums);
    REQUIRE(house.taken.size() == sums.told);
    if (house.taken.empty()) continue;
    CHECK(house.taken[0].mail == "MAIL FROM:<>" + parameters);
    CHECK(contains(house.taken[0].content, "Content-Type: " + type + "\r\n"));
    CHECK(contains(house.taken[0].content, header));
  }
}

TEST_CASE("notices: no bounce for a bounce, whatever the queue gives", "[notices]") {
  House house;
  house.put(envelope_from(""));
  house.fail_all(k_unknown);
  const auto report = house.run();
  CHECK(report.told == 0);
  CHECK(count_of(house.said, "MAIL") == 0);
}

TEST_CASE("notices: a Maildir takes them, under Return-Path", "[notices]") {
  House house;
  house.kind = deliver::TargetOptions::Kind::maildir;
  house.put(envelope_from("anna@example.org"));
  house.fail_all(k_unknown);
  check(house.run(), {1, 0, 0});
  std::vector<std::string> found;
  for (const auto& file : std::filesystem::directory_iterator(house.directory / "maildir/new")) {
    found.push_back(test::read_file(file.path()));
  }
  REQUIRE(found.size() == 1);
  CHECK(found[0].starts_with("Return-Path: <>\nDelivered-To: anna@example.org\nDate: "));
  CHECK(contains(found[0], "\nAuto-Submitted: auto-replied\n"));
}

TEST_CASE("notices: who wants to stop ends after the notice in hand", "[notices]") {
  House house;
  for (int i = 0; i < 3; ++i) house.put(envelope_from("anna@example.org"));
  house.fail_all(k_unknown);
  house.on_taken = [&] { house.stop.advance(Stop::Phase::finish); };
  check(house.run(), {1, 0, 0});
  CHECK(house.entries().size() == 2);
}

TEST_CASE("notices: whatever call to the disk fails, or is the last one, nobody is forgotten", "[notices]") {
  std::size_t faults = 0;
  for (const auto how : {FailingFiles::How::refuse, FailingFiles::How::deny, FailingFiles::How::die}) {
    for (std::size_t call = 1;; ++call) {
      CAPTURE(static_cast<int>(how), call);
      House house;
      house.options.whole_message = true;
      house.put(envelope_from("anna@example.org"));
      house.put(envelope_from("carl@example.org"));
      house.fail_all(k_unknown);
      FailingFiles files(call, how);
      app::NoticesReport report;
      auto opened =
          queue::Queue::in(house.directory / "queue", house.queue_options, house.simulation, house.log, files);
      if (opened) {
        deliver::TargetOptions target;
        target.hostname = target.server.hostname = "mail.example.org";
        target.server.tls = client::TlsPolicy::none;
        if (opened->recover() && opened->refresh()) {
          REQUIRE(house.simulation.run(tell(house, *opened, target, report)));
          house.simulation.settle();
        }
      }
      const bool was_reached = files.reached();
      if (was_reached) ++faults;
      const std::size_t before = house.taken.size();
      // Another run, on a good disk, a day later: both are told, or the first one twice, or it is there to be looked
      // at.
      {
        auto queue = house.open();
        for (const auto& entry : house.entries()) (void)queue.retry(entry.id);
      }
      house.run();
      std::map<std::string, int> told;
      for (const auto& one : house.taken) ++told[one.rcpt];
      std::size_t aside = spool::Store::in(house.directory / "queue")->list_aside()->size();
      CHECK(told.size() + aside + house.entries().size() >= 2);
      CHECK(house.taken.size() <= (report.state_error ? 3U : 2U));  // the one whose note could not be written
      CHECK(before <= 2);
      if (!was_reached) break;
    }
  }
  CHECK(faults > 30);
}
