// When a run is due, what runs report, what a service manager hears; and a supervisor with runs that do nothing but
// what the test wants.

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "net/notify_socket.hpp"
#include "spool/store.hpp"
#include "temporary_directory.hpp"
#include "watch/supervisor.hpp"

using namespace odmr;
using namespace odmr::watch;
using namespace std::chrono_literals;
using test::TemporaryDirectory;

namespace {

const TimePoint k_start = TimePoint(1000h);
const Timing k_timing{5min, 30s, 60min};

Schedule schedule_of(const std::vector<std::string>& providers, bool sends = false) {
  return {k_timing, providers, sends, k_start};
}

Ending held(const std::string& provider, Outcome outcome) {
  return {provider, outcome, {}, true};
}

// Takes what is due, lets it end so at once, and gives how long it waits then.
Duration wait_after(Schedule& schedule, Outcome outcome, double random = 0, std::optional<Duration> not_before = {}) {
  const TimePoint now = schedule.next();
  REQUIRE(schedule.take(now));
  schedule.ended({{"isp", outcome, not_before}}, now, random);
  return schedule.next() - now;
}

}  // namespace

// --- the schedule

TEST_CASE("a run is due at once, and then after each interval with what is random added", "[watch]") {
  auto schedule = schedule_of({"isp"});
  CHECK(schedule.next() == k_start);
  CHECK(schedule.take(k_start - 1ms) == std::nullopt);
  CHECK(schedule.take(k_start) == Errand{{"isp"}, false});
  CHECK(schedule.next() == TimePoint::max());  // it is under way
  CHECK(schedule.take(k_start + 24h) == std::nullopt);
  schedule.ended({{"isp", Outcome::no_mail, {}}}, k_start + 10s, 0);
  CHECK(schedule.next() == k_start + 10s + 5min);
  for (const Outcome outcome :
       {Outcome::no_mail, Outcome::fetched, Outcome::deferred, Outcome::config, Outcome::state}) {
    CHECK(wait_after(schedule, outcome, 0.5) == 5min + 15s);
  }
  CHECK(wait_after(schedule, Outcome::fetched, 0.999) < 5min + 30s);
}

TEST_CASE("a provider that refuses waits twice as long each time, up to the longest wait", "[watch]") {
  for (const Outcome outcome : {Outcome::auth, Outcome::refused, Outcome::tls, Outcome::protocol, Outcome::bug}) {
    auto schedule = schedule_of({"isp"});
    for (const auto wait : {10min, 20min, 40min, 60min, 60min}) CHECK(wait_after(schedule, outcome) == wait);
    CHECK(wait_after(schedule, outcome, 0.5) == 63min);  // a tenth at most, as of the interval
    CHECK(wait_after(schedule, Outcome::no_mail) == 5min);
    CHECK(wait_after(schedule, outcome) == 10min);
  }
}

TEST_CASE("a provider that cannot be reached is tried again soon, three times", "[watch]") {
  for (const Outcome outcome : {Outcome::unavailable, Outcome::local_down, Outcome::locked}) {
    auto schedule = schedule_of({"isp"});
    for (const Duration wait : {Duration(30s), Duration(60s), Duration(120s), Duration(5min), Duration(5min)})
      CHECK(wait_after(schedule, outcome) == wait);
    CHECK(wait_after(schedule, Outcome::fetched) == 5min);
    CHECK(wait_after(schedule, outcome) == 30s);
  }
  Schedule often({10s, 0s, 1h}, {"isp"}, false, k_start);
  CHECK(wait_after(often, Outcome::unavailable) == 10s);
}

TEST_CASE("a refusal is not forgotten for a line that failed in between", "[watch]") {
  auto schedule = schedule_of({"isp"});
  CHECK(wait_after(schedule, Outcome::auth) == 10min);
  CHECK(wait_after(schedule, Outcome::unavailable) == 30s);
  CHECK(wait_after(schedule, Outcome::auth) == 20min);
}

TEST_CASE("a session that was not tried says when it would be", "[watch]") {
  auto schedule = schedule_of({"isp"});
  CHECK(wait_after(schedule, Outcome::auth, 0, 45min) == 45min);
  CHECK(wait_after(schedule, Outcome::auth, 0, 1s) == 20min);
  CHECK(wait_after(schedule, Outcome::auth, 0, -10s) == 40min);
}

TEST_CASE("an interval that is longer than the longest wait is possible for nobody", "[watch]") {
  Schedule schedule({2h, 0s, 2h}, {"isp"}, false, k_start);
  CHECK(wait_after(schedule, Outcome::auth) == 2h);
}

TEST_CASE("one provider's refusal does not keep the other waiting", "[watch]") {
  auto schedule = schedule_of({"isp", "other"});
  CHECK(schedule.take(k_start) == Errand{{"isp", "other"}, false});
  schedule.ended({{"isp", Outcome::auth, {}}, {"other", Outcome::fetched, {}}}, k_start, 0);
  CHECK(schedule.take(k_start + 5min) == Errand{{"other"}, false});
  schedule.ended({{"other", Outcome::no_mail, {}}}, k_start + 5min, 0);
  CHECK(schedule.take(k_start + 10min) == Errand{{"isp", "other"}, false});  // both are due then
}

TEST_CASE("of several endings the graver one counts", "[watch]") {
  auto schedule = schedule_of({"isp"});
  REQUIRE(schedule.take(k_start));
  schedule.ended({{"isp", Outcome::auth, {}}, {"isp", Outcome::no_mail, {}}}, k_start, 0);
  CHECK(schedule.next() == k_start + 10min);
}

TEST_CASE("submitted mail is sent at once, and asks no provider", "[watch]") {
  auto schedule = schedule_of({"isp"}, true);
  CHECK(schedule.take(k_start) == Errand{{"isp"}, true});
  schedule.ended({}, k_start, 0);
  const auto now = k_start + 1min;
  schedule.submitted(now);
  schedule.submitted(now + 100ms);  // the same run
  CHECK(schedule.next() == now + Schedule::k_gather);
  CHECK(schedule.take(now + 100ms) == std::nullopt);
  CHECK(schedule.take(now + Schedule::k_gather) == Errand{{}, true});
  SECTION("while it goes out, more comes") {
    schedule.submitted(now + 1s);
    schedule.ended({{"", Outcome::sent, {}}}, now + 2s, 0);
    CHECK(schedule.next() == now + Schedule::k_gather + Schedule::k_between_submissions);
    CHECK(schedule.take(schedule.next()) == Errand{{}, true});
  }
  SECTION("nothing more comes: the provider keeps its time") {
    schedule.ended({{"", Outcome::sent, {}}}, now + 2s, 0);
    CHECK(schedule.next() == k_start + 5min);
    CHECK(schedule.take(k_start + 5min) == Errand{{"isp"}, true});
  }
}

TEST_CASE("mail that comes while a run is under way leads to another one", "[watch]") {
  auto schedule = schedule_of({"isp"}, true);
  REQUIRE(schedule.take(k_start));
  schedule.submitted(k_start + 1s);
  schedule.ended({}, k_start + 20s, 0);
  CHECK(schedule.take(k_start + 20s) == Errand{{}, true});
}

TEST_CASE("a smart host that refuses is not tried for each message", "[watch]") {
  auto schedule = schedule_of({"isp"}, true);
  REQUIRE(schedule.take(k_start));
  schedule.ended({{"", Outcome::auth, {}}}, k_start, 0);
  schedule.submitted(k_start + 1s);
  CHECK(schedule.next() == k_start + 5min);
  CHECK(schedule.take(k_start + 5min) == Errand{{"isp"}, false});  // without sending
  schedule.ended({{"isp", Outcome::no_mail, {}}}, k_start + 5min, 0);
  CHECK(schedule.take(k_start + 10min) == Errand{{"isp"}, true});
}

TEST_CASE("without a way out a submission is nothing", "[watch]") {
  auto schedule = schedule_of({"isp"});
  REQUIRE(schedule.take(k_start));
  schedule.ended({}, k_start, 0);
  schedule.submitted(k_start);
  CHECK(schedule.next() == k_start + 5min);
}

TEST_CASE("a configuration that only sends has runs, too", "[watch]") {
  auto schedule = schedule_of({}, true);
  CHECK(schedule.take(k_start) == Errand{{}, true});
  schedule.ended({}, k_start, 0);
  CHECK(schedule.next() == k_start + 5min);
}

TEST_CASE("who wants a run now gets it, whatever was refused", "[watch]") {
  auto schedule = schedule_of({"isp"}, true);
  REQUIRE(schedule.take(k_start));
  schedule.ended({{"isp", Outcome::auth, {}}, {"", Outcome::auth, {}}}, k_start, 0);
  schedule.all_now(k_start + 1min);
  CHECK(schedule.take(k_start + 1min) == Errand{{"isp"}, true});
  SECTION("it counts on") {
    schedule.ended({{"isp", Outcome::auth, {}}}, k_start + 1min, 0);
    CHECK(schedule.next() == k_start + 1min + 5min);  // sending
    REQUIRE(schedule.take(schedule.next()));
    schedule.ended({}, k_start + 6min, 0);
    CHECK(schedule.next() == k_start + 11min);  // isp would be next at 21
  }
  SECTION("while one is under way: once more after it") {
    schedule.all_now(k_start + 2min);
    schedule.ended({{"isp", Outcome::auth, {}}}, k_start + 3min, 0);
    CHECK(schedule.next() <= k_start + 3min);
    CHECK(schedule.take(k_start + 3min) == Errand{{"isp"}, true});
  }
}

// --- lines that are held

TEST_CASE("a provider that holds lines is asked again at once, as long as it does", "[watch]") {
  auto schedule = schedule_of({"isp"});
  TimePoint now = k_start;
  for (const Outcome outcome : {Outcome::no_mail, Outcome::fetched, Outcome::no_mail}) {
    REQUIRE(schedule.take(now));
    now += 9min;
    schedule.ended({held("isp", outcome)}, now, 0.9);
    CHECK(schedule.next() == now);
  }
  REQUIRE(schedule.take(now));
  schedule.ended({{"isp", Outcome::no_mail, {}}}, now, 0);  // a hold that was none
  CHECK(schedule.next() == now + 5min);
}

TEST_CASE("what was put off, and what fails, is not asked for at once because lines are held", "[watch]") {
  for (const auto& [outcome, wait] : {std::pair<Outcome, Duration>(Outcome::deferred, 5min),
                                      {Outcome::local_down, 30s},
                                      {Outcome::auth, 10min},
                                      {Outcome::state, 5min}}) {
    auto schedule = schedule_of({"isp"});
    REQUIRE(schedule.take(k_start));
    schedule.ended({held("isp", outcome)}, k_start, 0);
    CHECK(schedule.next() == k_start + wait);
  }
}

TEST_CASE("a line that was lost while it was held is missed soon, once", "[watch]") {
  auto schedule = schedule_of({"isp"});
  TimePoint now = k_start;
  const auto lose = [&](bool was_held) {
    REQUIRE(schedule.take(now));
    schedule.ended({{"isp", Outcome::unavailable, {}, was_held}}, now, 0);
    const Duration wait = schedule.next() - now;
    now = schedule.next();
    return wait;
  };
  for (const Duration wait : {Duration(5s), Duration(30s), Duration(60s), Duration(120s), Duration(5min)})
    CHECK(lose(true) == wait);
  REQUIRE(schedule.take(now));
  schedule.ended({held("isp", Outcome::no_mail)}, now, 0);
  CHECK(lose(true) == 5s);
  CHECK(lose(false) == 30s);  // cannot even be reached
}

TEST_CASE("while mail is waited for, mail goes out when it is due or submitted, and by no other reason", "[watch]") {
  auto schedule = schedule_of({"isp"}, true);
  REQUIRE(schedule.take(k_start) == Errand{{"isp"}, true});
  CHECK(schedule.next() == TimePoint::max());
  schedule.waits(k_start + 2s, 0);
  const auto due = k_start + 2s + 5min;
  CHECK(schedule.next() == due);  // the next time to send
  SECTION("it falls due: the run is ended, and another one sends") {
    schedule.ended({held("isp", Outcome::no_mail), {"", Outcome::no_mail, {}}}, due, 0);
    CHECK(schedule.take(due) == Errand{{"isp"}, true});
  }
  SECTION("it falls due, and the queue is empty: the wait goes on, for an hour at most") {
    schedule.nothing_to_send(due - 1s);
    CHECK(schedule.next() == due);
    while (schedule.next() < k_start + 1h) {
      const auto now = schedule.next();
      schedule.nothing_to_send(now);
      CHECK(schedule.next() == now + 5min);
    }
    const auto now = schedule.next();
    schedule.nothing_to_send(now);
    CHECK(schedule.next() == now);
  }
  SECTION("the queue is empty, and something else is due, too") {
    schedule.all_now(due);
    schedule.nothing_to_send(due);
    CHECK(schedule.next() == due);
  }
  SECTION("mail is submitted") {
    schedule.submitted(k_start + 1min);
    const auto now = schedule.next();
    CHECK(now == k_start + 1min + Schedule::k_gather);
    schedule.ended({held("isp", Outcome::no_mail)}, now, 0);
    CHECK(schedule.take(now) == Errand{{"isp"}, true});
  }
  SECTION("the hold is over: that alone sends nothing") {
    const auto now = k_start + 3min;
    schedule.ended({held("isp", Outcome::no_mail)}, now, 0);
    CHECK(schedule.take(now) == Errand{{"isp"}, false});
    schedule.waits(now, 0);
    CHECK(schedule.next() == due);
  }
  SECTION("the smart host could not be reached in the end: that waits its time, and is not tried with each hold") {
    const auto now = k_start + 3min;
    schedule.ended({held("isp", Outcome::no_mail), {"", Outcome::unavailable, {}}}, now, 0);
    CHECK(schedule.take(now) == Errand{{"isp"}, false});
    CHECK(schedule.next() == now + 30s);
  }
  SECTION("mail came in such a run: what it left to send goes with the next one") {
    schedule.ended({held("isp", Outcome::no_mail)}, k_start + 1min, 0);
    REQUIRE(schedule.take(k_start + 1min) == Errand{{"isp"}, false});
    schedule.ended({held("isp", Outcome::fetched)}, k_start + 2min, 0);
    CHECK(schedule.take(k_start + 2min) == Errand{{"isp"}, true});
  }
  SECTION("SIGUSR1: everything") {
    schedule.all_now(k_start + 1min);
    CHECK(schedule.next() == k_start + 1min);
    schedule.ended({held("isp", Outcome::no_mail)}, k_start + 1min, 0);
    CHECK(schedule.take(k_start + 1min) == Errand{{"isp"}, true});
  }
}

TEST_CASE("a provider that holds is asked beside one whose time has come", "[watch]") {
  auto schedule = schedule_of({"isp", "other"});
  REQUIRE(schedule.take(k_start));
  schedule.ended({held("isp", Outcome::no_mail), {"other", Outcome::no_mail, {}}}, k_start, 0);
  CHECK(schedule.take(k_start) == Errand{{"isp"}, false});
  schedule.waits(k_start, 0);
  CHECK(schedule.next() == k_start + 5min);
  schedule.ended({held("isp", Outcome::no_mail)}, k_start + 5min, 0);
  CHECK(schedule.take(k_start + 5min) == Errand{{"isp", "other"}, false});
}

// --- what a run reports

TEST_CASE("a report comes out of its packet as it went in", "[watch]") {
  for (const auto& report :
       {Report(), Report{{}, {}, true}, Report{Ending{"isp", Outcome::auth, 90s}, "isp: auth: login refused"},
        Report{held("isp", Outcome::no_mail), "isp: no mail"}, Report{Ending{"", Outcome::sent, {}}, ""}}) {
    CHECK(parse_packet(to_packet(report)) == report);
  }
  CHECK(to_packet({Ending{"isp", Outcome::no_mail, {}}, std::string(100'000, 'x')}).size() <= k_longest_report);
}

TEST_CASE("what is no report is none", "[watch]") {
  using namespace std::string_literals;
  for (const auto& packet : {""s, "ended"s, "ended\0isp\0auth\0\0\0"s + "text\0more"s,
                             "ended\0isp\0nonsense\0\0\0text"s, "ended\0isp\0auth\0-1\0\0text"s,
                             "ended\0isp\0auth\0\0perhaps\0text"s, "alive\0"s, "waits\0"s, std::string(5000, '\0')}) {
    CHECK(parse_packet(packet) == std::nullopt);
  }
  const auto escaped = parse_packet("ended\0isp\0auth\0\0\0a\nb"s);
  REQUIRE(escaped);
  CHECK(escaped->text == "a\\x0ab");
}

// --- what a service manager hears

TEST_CASE("a notification is a line each, and no value begins another", "[watch]") {
  CHECK(net::notification({{"READY", "1"}, {"STATUS", "isp: \"450 no\"\nREADY=1\r"}}) ==
        "READY=1\nSTATUS=isp: \"450 no\" READY=1 \n");
}

TEST_CASE("the watchdog's interval is for the process that it names", "[watch]") {
  CHECK(net::watchdog_interval(nullptr, nullptr, 7) == std::nullopt);
  CHECK(net::watchdog_interval("30000000", nullptr, 7) == Duration(30s));
  CHECK(net::watchdog_interval("30000000", "7", 7) == Duration(30s));
  CHECK(net::watchdog_interval("30000000", "8", 7) == std::nullopt);
  for (const char* bad : {"", "0", "x", "-1", "99999999999999999999999"})
    CHECK(net::watchdog_interval(bad, nullptr, 7) == std::nullopt);
}

namespace {

// A service manager's end.
class Listener {
 public:
  explicit Listener(const std::string& name) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    const bool is_abstract = name.front() == '@';
    if (is_abstract) address.sun_path[0] = '\0';
    const auto size = offsetof(sockaddr_un, sun_path) + name.size() + (is_abstract ? 0 : 1);
    REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(size)) == 0);
  }
  // What has come, each in its own text.
  std::vector<std::string> heard() const {
    std::vector<std::string> all;
    std::array<char, 4096> bytes{};
    for (;;) {
      const auto got = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
      if (got < 0) return all;
      all.emplace_back(bytes.data(), static_cast<std::size_t>(got));
    }
  }

 private:
  Descriptor socket_;
};

}  // namespace

TEST_CASE("the service manager is told at a path and at an abstract address", "[watch]") {
  const TemporaryDirectory directory;
  const std::string abstract = "@odmr-test-" + std::to_string(::getpid());
  for (const auto& name : {directory / "notify", abstract}) {
    const Listener listener(name);
    const auto socket = net::NotifySocket::open(name);
    REQUIRE(socket);
    socket->tell({{"READY", "1"}});
    CHECK(listener.heard() == std::vector<std::string>{"READY=1\n"});
  }
  for (const std::string bad : {"", "@", "/", "notify", "vsock:2:1234"}) CHECK_FALSE(net::NotifySocket::open(bad));
  CHECK_FALSE(net::NotifySocket::open("/" + std::string(200, 'x')));
  net::NotifySocket().tell({{"READY", "1"}});  // nobody is there
}

TEST_CASE("what is for this process alone is taken out of its environment", "[watch]") {
  const TemporaryDirectory directory;
  const Listener listener(directory / "notify");
  ::setenv("NOTIFY_SOCKET", (directory / "notify").c_str(), 1);
  ::setenv("WATCHDOG_USEC", "2000000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::setenv(name, "1", 1);
  const auto socket = net::NotifySocket::of_environment();
  REQUIRE(socket);
  CHECK(socket->is_open());
  CHECK(socket->watchdog() == Duration(2s));
  for (const char* name :
       {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})
    CHECK(std::getenv(name) == nullptr);
  CHECK_FALSE(net::NotifySocket::of_environment()->is_open());
}

// --- mail that arrives

TEST_CASE("mail that is put into the queue is noticed, wherever the queue begins", "[watch]") {
  const TemporaryDirectory directory;
  const std::string state = directory / "state";
  const std::string queue = state + "/queue";
  const auto put = [&] {
    auto store = spool::Store::in(queue);
    REQUIRE(store);
    spool::Envelope envelope;
    envelope.recipients.emplace_back();
    envelope.recipients.back().address = "b@example.org";
    auto draft = store->begin(envelope);
    REQUIRE(draft);
    REQUIRE(draft->write("x\r\n"));
    REQUIRE(draft->commit());
  };
  const bool has_state = GENERATE(true, false);
  const bool has_queue = GENERATE(true, false);
  if (has_state || has_queue) std::filesystem::create_directory(state);
  if (has_queue) put();
  auto arrivals = Arrivals::in(state, "queue");
  REQUIRE(arrivals);
  CHECK_FALSE(arrivals->take());
  CHECK(arrivals->has_mail() == has_queue);
  std::filesystem::create_directory(state);
  if (!has_state && !has_queue) CHECK_FALSE(arrivals->follow());  // the state directory came without a word
  put();
  CHECK(arrivals->take());
  CHECK_FALSE(arrivals->take());
  std::ofstream(queue + "/held/note.done") << "a note about a message is none";
  CHECK_FALSE(arrivals->take());
  put();
  put();
  CHECK(arrivals->take());
  std::filesystem::remove_all(queue);
  CHECK_FALSE(arrivals->take());
  put();
  CHECK(arrivals->take());
}

// --- the supervisor

namespace {

// Counts runs by a file, since each is a process of its own; ends the supervisor after the last.
class Script final : public Work {
 public:
  using Run = std::function<int(int line)>;
  explicit Script(std::vector<Run> runs) : runs_(std::move(runs)) {}

  int run(const Errand& /*errand*/, bool is_first, int line) override {
    ::signal(SIGTERM, SIG_IGN);  // what it asks for, these do anyway
    std::ofstream(journal_, std::ios::app) << (is_first ? "first " : "run ");
    const auto number = words() - 1;
    const int status = number < runs_.size() ? runs_[number](line) : 0;
    if (number + 1 >= runs_.size()) end();
    return status;
  }
  // Of a run: the supervisor is asked to end.
  static void end() { ::kill(::getppid(), SIGTERM); }
  void died(const std::string& why) override { deaths.push_back(why); }
  std::optional<Plan> reload() override {
    ++reloads;
    return next_plan;
  }

  std::size_t words() const {
    std::ifstream file(journal_);
    return static_cast<std::size_t>(std::distance(std::istream_iterator<std::string>(file), {}));
  }

  std::vector<std::string> deaths;
  int reloads = 0;
  std::optional<Plan> next_plan;

 private:
  TemporaryDirectory directory_;
  std::string journal_ = directory_ / "runs";
  std::vector<Run> runs_;
};

Plan quick_plan() {
  Plan plan;
  plan.timing = {1ms, 0ms, 1ms};
  plan.providers = {"isp"};
  return plan;
}

int well(int line) {
  send_report(line, {Ending{"isp", Outcome::no_mail, {}}, "isp: no mail"});
  return 0;
}

}  // namespace

TEST_CASE("runs follow each other until a signal, and one that dies is followed by the next", "[watch]") {
  Script script({well, [](int) { return ::raise(SIGKILL); }, [](int) { return exit_status(Outcome::bug); }, well});
  Supervisor supervisor(quick_plan(), script, net::NotifySocket(), silent_log());
  CHECK(supervisor.run());
  CHECK(script.words() >= 4);
  CHECK(script.deaths == std::vector<std::string>{"the run was killed by SIGKILL"});
}

TEST_CASE("a run that hangs is killed, and said", "[watch]") {
  Script script({[](int) { return ::pause(); }, well});
  SupervisorPatience patience;
  patience.silence = 20ms;
  Supervisor supervisor(quick_plan(), script, net::NotifySocket(), silent_log(), patience);
  CHECK(supervisor.run());
  // On a slow machine the one after it, too.
  REQUIRE_FALSE(script.deaths.empty());
  for (const auto& why : script.deaths) CHECK(why == "the run hung: nothing moved in it for 0 min, and it was killed");
  CHECK(script.words() >= 2);
}

TEST_CASE("a run that does not end when it is told to is killed", "[watch]") {
  Script script({[](int) {
    Script::end();
    return ::pause();
  }});
  Plan plan = quick_plan();
  plan.stop_grace = 10ms;
  SupervisorPatience patience;
  patience.end = 10ms;
  Supervisor supervisor(plan, script, net::NotifySocket(), silent_log(), patience);
  CHECK(supervisor.run());
  CHECK(script.deaths == std::vector<std::string>{"the run did not end when it was told to, and was killed"});
}

TEST_CASE("a run has its signals as they were, and hears nothing that is for the supervisor", "[watch]") {
  Script script({[](int) {
    ::kill(::getpid(), SIGHUP);
    ::kill(::getpid(), SIGUSR1);
    sigset_t mask;
    ::sigprocmask(SIG_SETMASK, nullptr, &mask);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD})
      if (::sigismember(&mask, signal) != 0) return ::raise(SIGKILL);
    return 0;
  }});
  Supervisor supervisor(quick_plan(), script, net::NotifySocket(), silent_log());
  CHECK(supervisor.run());
  CHECK(script.deaths.empty());
}

TEST_CASE("SIGHUP reads again, and what is faulty changes nothing", "[watch]") {
  const TemporaryDirectory directory;
  const Listener listener(directory / "notify");
  const bool is_faulty = GENERATE(false, true);
  Plan plan = quick_plan();
  plan.timing = {1h, 0s, 1h};  // a second run comes by the reload alone, or by SIGUSR1
  const int wanting = is_faulty ? SIGUSR1 : SIGHUP;
  Script script({[wanting](int) {
                   ::kill(::getppid(), SIGHUP);
                   ::kill(::getppid(), wanting);
                   return 0;
                 },
                 well});
  if (!is_faulty) script.next_plan = plan;
  Supervisor supervisor(plan, script, *net::NotifySocket::open(directory / "notify"), silent_log());
  CHECK(supervisor.run());
  CHECK(script.reloads >= 1);
  CHECK(script.words() == 2);
  const auto heard = listener.heard();
  REQUIRE(heard.size() > 4);
  CHECK(heard.front().starts_with("READY=1\nSTATUS="));
  const auto reloading = std::find_if(heard.begin(), heard.end(),
                                      [](const auto& one) { return one.starts_with("RELOADING=1\nMONOTONIC_USEC="); });
  REQUIRE(reloading != heard.end());
  CHECK((reloading + 1)->starts_with("READY=1\n"));
  CHECK(std::any_of(heard.begin(), heard.end(),
                    [](const auto& one) { return one.starts_with("STATUS=isp: no mail; "); }));
  CHECK(std::any_of(heard.begin(), heard.end(), [](const auto& one) { return one.starts_with("STOPPING=1\n"); }));
}

namespace {

// A run that waits for mail until it is told that it need not.
int wait_for_mail(int line) {
  sigset_t enough;
  ::sigemptyset(&enough);
  ::sigaddset(&enough, k_enough);
  ::sigprocmask(SIG_BLOCK, &enough, nullptr);
  Report waiting;
  waiting.waits = true;
  send_report(line, waiting);
  ::sigwaitinfo(&enough, nullptr);
  send_report(line, {Ending{"isp", Outcome::no_mail, {}, true}, "isp: no mail"});
  return 0;
}

}  // namespace

TEST_CASE("a run that merely waits makes way for what is due, and is begun again at once", "[watch]") {
  const TemporaryDirectory directory;
  const Listener listener(directory / "notify");
  Plan plan = quick_plan();
  plan.timing = {1h, 0s, 1h};
  Script script({[&](int line) {
                   ::kill(::getppid(), SIGUSR1);
                   return wait_for_mail(line);
                 },
                 [&](int line) {
                   ::kill(::getppid(), SIGHUP);
                   return wait_for_mail(line);
                 },
                 well});
  script.next_plan = plan;
  Supervisor supervisor(plan, script, *net::NotifySocket::open(directory / "notify"), silent_log());
  CHECK(supervisor.run());
  CHECK(script.words() == 3);
  CHECK(script.deaths.empty());
  const auto heard = listener.heard();
  CHECK(std::any_of(heard.begin(), heard.end(), [](const auto& one) {
    return one.find("STATUS=waiting for mail, with the line held") != std::string::npos;
  }));
}

TEST_CASE("a run that works is not disturbed by what falls due", "[watch]") {
  Script script({[](int line) {
                   // It is due, and the run is told of it only while it waits.
                   ::signal(k_enough, SIG_DFL);
                   Report waiting;
                   waiting.waits = true;
                   send_report(line, waiting);
                   send_report(line, Report());
                   ::kill(::getppid(), SIGUSR1);
                   send_report(line, {Ending{"isp", Outcome::no_mail, {}}, "isp: no mail"});
                   return 0;
                 },
                 well});
  Plan plan = quick_plan();
  plan.timing = {1h, 0s, 1h};
  Supervisor supervisor(plan, script, net::NotifySocket(), silent_log());
  CHECK(supervisor.run());
  CHECK(script.words() == 2);
  CHECK(script.deaths.empty());
}
