// Turned lines that are kept when all is sent (XKEEP): odmrd as the client there, customers of all manners at the other
// end.

#include <catch2/catch.hpp>
#include <deque>
#include <iostream>

#include "net/delay.hpp"
#include "provider_house.hpp"

namespace odmr::test {

namespace {

using net::Task;
using Subjects = std::vector<std::string>;
using Seconds = std::vector<long>;

constexpr auto k_patience = std::chrono::minutes(30);

// The customer's line while it is kept: when NOOP came, in seconds from the beginning.
class Resting final : public server::KeptLine {
 public:
  explicit Resting(House& house) : clock_(house.simulation), begin_(clock_.now()) {}
  Stop& enough() override { return enough_; }
  Task<> rests() override {
    noops.push_back(std::chrono::duration_cast<std::chrono::seconds>(clock_.now() - begin_).count());
    co_return;
  }
  Task<Result<void>> wakes() override {
    ++woken;
    if (is_closed) co_return fail(Errc::busy, "takes no mail now");
    co_return Result<void>();
  }

  Seconds noops;
  std::size_t woken = 0;
  bool is_closed = false;

 private:
  Clock& clock_;
  TimePoint begin_;
  Stop enough_;
};

// Logs in, says what is wanted and ATRN. No value where that comes to nothing.
Task<std::optional<net::Stream>> turned(net::Stream stream, std::vector<std::string> wants, Fetched& fetched) {
  client::Session session(std::move(stream), client::Dialect::smtp, silent_log(), k_patience);
  const auto greeting = co_await session.read_reply(k_patience);
  if (!greeting) co_return std::nullopt;
  const auto hello = co_await session.ask("EHLO gw.example.org\r\n", k_patience);
  if (!hello) co_return std::nullopt;
  session.set_capabilities(smtp::Capabilities::from(*hello));
  client::Login login{"example.org", Secret("secret"), {sasl::Mechanism::cram_md5}, false};
  const auto in = co_await client::log_in(session, login, client::TlsPolicy::none, k_patience);
  if (!in) co_return std::nullopt;
  for (const auto& word : wants) {
    const auto granted = co_await session.ask(word + "\r\n", k_patience);
    if (!granted) co_return std::nullopt;
  }
  const auto reply = co_await session.ask("ATRN\r\n", k_patience);
  if (!reply) co_return std::nullopt;
  fetched.atrn = reply->joined();
  if (reply->code == 250) co_return std::move(session).release();
  session.close();
  co_return std::nullopt;
}

// A customer as odmr is one.
Task<> stay(net::Stream stream, MailServer& server, Resting& resting, Fetched& fetched,
            std::vector<std::string> wants = {"XKEEP"}) {
  auto line = co_await turned(std::move(stream), std::move(wants), fetched);
  if (!line) co_return;
  server::MailSessionOptions options;
  options.hostname = "gw.example.org";
  options.offer.chunking = MailServer::manner != Manner::data;
  options.offer.once = MailServer::manner == Manner::pipeline;
  options.kept = &resting;
  Stop stop;
  fetched.end = co_await server::serve_mail(std::move(*line), server, options, silent_log(), stop);
}

Task<> stay_later(House& house, Duration after, MailServer& server, Resting& resting, Fetched& fetched) {
  Stop never;
  co_await net::delay(house.simulation, after, never);
  const std::vector<std::string> wants{"XHOLD", "XKEEP"};
  co_await stay(house.connect(), server, resting, fetched, wants);
}

// A customer that takes what comes as it comes and answers NOOP by what it is told to, the last of it again and again:
// a reply; nothing, for ever ("dead"); or a reply and, ten seconds later, "then" these words.
struct Moody {
  std::deque<std::string> to_noop;
  std::string then;
  Subjects taken;
  std::string heard;  // commands, by verb
  bool is_over = false;
  TimePoint over{};
};

Task<> answer(server::Channel& channel, Moody& mood, const std::string& verb) {
  if (verb == "EHLO") {
    channel.reply(smtp::Reply(250, "gw.example.org"));
  } else if (verb == "DATA") {
    channel.reply(smtp::Reply(354, "go on"));
    for (;;) {
      const auto line = co_await channel.read_line(2048, channel.clock().now() + Duration(k_patience));
      if (!line || line->text == ".") break;
      if (line->text.starts_with("Subject: ")) mood.taken.push_back(line->text.substr(9));
    }
    channel.reply(smtp::Reply(250, "2.0.0 taken"));
  } else if (verb != "NOOP") {
    channel.reply(smtp::Reply(verb == "QUIT" ? 221 : 250, "2.0.0 OK"));
  } else {
    const std::string word = mood.to_noop.front();
    if (mood.to_noop.size() > 1) mood.to_noop.pop_front();
    if (word == "dead") co_return;
    channel.reply(smtp::Reply(std::stoi(word.substr(0, 3)), word.substr(4)));
    if (mood.then.empty()) co_return;
    co_await channel.flush();
    Stop never;
    co_await net::delay(channel.clock(), std::chrono::seconds(10), never);
    co_await channel.stream().write(mood.then, std::chrono::minutes(1));
    mood.then.clear();
  }
}

Task<> be(House& house, Moody& mood) {
  Fetched fetched;
  const std::vector<std::string> wants{"XKEEP"};
  auto line = co_await turned(house.connect(), wants, fetched);
  if (line) {
    server::Channel channel(std::move(*line), silent_log(), std::chrono::minutes(1));
    channel.reply(smtp::Reply(220, "gw.example.org"));
    for (;;) {
      const auto said = co_await channel.read_line(2048, channel.clock().now() + Duration(k_patience));
      if (!said) break;
      const std::string verb = said->text.substr(0, 4);
      mood.heard += verb + " ";
      co_await answer(channel, mood, verb);
    }
    co_await channel.flush();
    channel.stream().close();
  }
  mood.over = house.simulation.now();
  mood.is_over = true;
}

Task<> put_later(House& house, Duration after, std::string subject) {
  Stop never;
  co_await net::delay(house.simulation, after, never);
  house.put("a@sender.example", {"x@example.org"}, subject);
  co_await house.mail->look();
}

void keep(House& house, Duration keep) {
  house.accounts_of([&](provider::Customer& customer) { customer.keep = keep; });
}

Subjects subjects(const MailServer& server) {
  Subjects all;
  for (const auto& one : server.taken) all.push_back(one.subject());
  return all;
}

// While it lives, customers' servers take mail so.
class InManner {
 public:
  explicit InManner(Manner manner) { MailServer::manner = manner; }
  ~InManner() { MailServer::manner = Manner::data; }
  InManner(const InManner&) = delete;
  InManner& operator=(const InManner&) = delete;
};

constexpr std::chrono::minutes k_nine(9);

// A house that keeps lines, with one message, and a customer that stays for it.
struct Scene {
  explicit Scene(FileOps& files = system_files()) : house(files) {
    keep(house, k_nine);
    house.put("a@sender.example", {"x@example.org"}, "one");
  }
  void run() {
    house.simulation.run(stay(house.connect(), server, resting, fetched));
    house.simulation.settle();
  }

  House house;
  MailServer server{house};
  Resting resting{house};
  Fetched fetched;
};

}  // namespace

TEST_CASE("kept: XKEEP is offered where a line may be kept, and is for who is logged in", "[kept]") {
  House house;
  CHECK(converse(house, house.clear, {"EHLO x"}).back().find("XKEEP") == std::string::npos);
  CHECK(after_login(house, {"XKEEP"}).back() == "502 5.5.1 your line is not kept");
  keep(house, k_nine);
  const auto heard = converse(house, house.clear, {"EHLO x", "XKEEP", "LOGIN", "XKEEP now", "XKEEP"});
  REQUIRE(heard.size() == 6);
  CHECK(heard[1].find(" XKEEP 540 ") != std::string::npos);
  CHECK(heard[2] == "530 5.7.0 log in first");
  CHECK(heard[4] == "501 5.5.4 XKEEP takes no argument");
  CHECK(heard[5] == "250 2.0.0 the turned line is kept when all is sent, for 540 seconds at most");
}

TEST_CASE("kept: who does not ask for it hears QUIT when all is sent", "[kept]") {
  Scene scene;
  MailServer server(scene.house);
  const auto begin = scene.house.simulation.now();
  const auto fetched = fetch(scene.house, server);
  REQUIRE(fetched.end);
  CHECK(fetched.end->how == server::SessionEnd::How::quit);
  CHECK(scene.house.simulation.now() - begin < std::chrono::seconds(5));
}

TEST_CASE("kept: NOOP when all is sent and every 45 seconds, mail at once, and QUIT when the time is over", "[kept]") {
  const InManner manner(GENERATE(Manner::data, Manner::chunks, Manner::pipeline));
  Scene scene;
  scene.house.simulation.start(put_later(scene.house, std::chrono::seconds(60), "two"));
  std::vector<long> taken_at;
  const TimePoint begin = scene.house.simulation.now();
  scene.server.on_taken = [&](const MailServer::Message&) {
    taken_at.push_back(std::chrono::duration_cast<std::chrono::seconds>(scene.house.simulation.now() - begin).count());
  };
  scene.run();
  CHECK(subjects(scene.server) == Subjects{"one", "two"});
  CHECK(taken_at == Seconds{0, 60});
  // The one at 60 asks whether anybody is there, and the next tells that the reply has been read.
  CHECK(scene.resting.noops == Seconds{0, 45, 60, 60, 105, 150, 195, 240, 285, 330, 375, 420, 465, 510});
  CHECK(scene.resting.woken == 1);
  REQUIRE(scene.fetched.end);
  CHECK(scene.fetched.end->how == server::SessionEnd::How::quit);
  CHECK(scene.house.held() == 0);
  CHECK(scene.house.logged("all sent"));
}

TEST_CASE("kept: mail that comes within a second of a reply needs no question before it", "[kept]") {
  Scene scene;
  scene.house.simulation.start(put_later(scene.house, std::chrono::seconds(1), "two"));
  scene.run();
  CHECK(subjects(scene.server) == Subjects{"one", "two"});
  REQUIRE(scene.resting.noops.size() > 2);
  CHECK(scene.resting.noops[1] == 1);
  CHECK(scene.resting.noops[2] == 46);
}

TEST_CASE("kept: a message begun before the last one, and whole after it, goes too", "[kept]") {
  Scene scene;
  auto store = provider::open_folder(scene.house.directory.path(), provider::Folder::held);
  const auto now = std::chrono::system_clock::now();
  auto slow = store->begin({now, "a@sender.example", {}, {{"x@example.org", {}}}});
  REQUIRE(slow->write("Subject: slow\r\n\r\nwords\r\n"));
  scene.house.put("a@sender.example", {"x@example.org"}, "fast");
  const auto commit_later = [](House& house, spool::Store::Draft& draft) -> Task<> {
    Stop never;
    co_await net::delay(house.simulation, std::chrono::seconds(20), never);
    const auto id = draft.commit();
    static_cast<void>(id);
    co_await house.mail->look();
  };
  scene.house.simulation.start(commit_later(scene.house, *slow));
  scene.run();
  CHECK(subjects(scene.server) == Subjects{"one", "fast", "slow"});
}

TEST_CASE("kept: mail for another domain or customer wakes nobody", "[kept]") {
  Scene scene;
  const auto put_other = [](House& house) -> Task<> {
    Stop never;
    co_await net::delay(house.simulation, std::chrono::seconds(60), never);
    house.put("a@sender.example", {"x@other.example"}, "other");
    co_await house.mail->look();
  };
  scene.house.simulation.start(put_other(scene.house));
  scene.run();
  CHECK(scene.resting.woken == 0);
  CHECK(scene.resting.noops.size() == 12);
  CHECK(scene.house.held() == 1);
}

TEST_CASE("kept: where something was put off, the line is not", "[kept]") {
  Scene scene;
  scene.server.subjects = {{"one", smtp::Reply(451, "4.3.0 later")}};
  scene.run();
  CHECK(scene.resting.noops.empty());
  REQUIRE(scene.fetched.end);
  CHECK(scene.fetched.end->how == server::SessionEnd::How::quit);
  CHECK(scene.house.held() == 1);
}

TEST_CASE("kept: what is put off later ends it, too", "[kept]") {
  Scene scene;
  scene.server.subjects = {{"two", smtp::Reply(451, "4.3.0 later")}};
  scene.house.simulation.start(put_later(scene.house, std::chrono::seconds(60), "two"));
  scene.run();
  CHECK(scene.resting.noops == Seconds{0, 45, 60});
  REQUIRE(scene.fetched.end);
  CHECK(scene.fetched.end->how == server::SessionEnd::How::quit);
}

TEST_CASE("kept: a signal ends it, and so does a configuration that is read again", "[kept]") {
  const bool is_signal = GENERATE(true, false);
  Scene scene;
  const auto later = [](House& house, bool signal) -> Task<> {
    Stop never;
    co_await net::delay(house.simulation, std::chrono::seconds(60), never);
    if (signal)
      house.stop.advance(Stop::Phase::finish);
    else
      keep(house, k_nine);
  };
  scene.house.simulation.start(later(scene.house, is_signal));
  scene.run();
  REQUIRE(scene.fetched.end);
  CHECK(scene.fetched.end->how == server::SessionEnd::How::quit);
  CHECK(scene.resting.noops == Seconds{0, 45});
  CHECK(scene.house.logged(is_signal ? "stopped by a signal" : "the configuration was read again"));
}

TEST_CASE("kept: other work of the customer's ends it by 421, and its mail waits for the next session", "[kept]") {
  Scene scene;
  const auto later = [](House& house, Stop& enough) -> Task<> {
    Stop never;
    co_await net::delay(house.simulation, std::chrono::seconds(60), never);
    enough.advance(Stop::Phase::finish);
  };
  scene.house.simulation.start(later(scene.house, scene.resting.enough()));
  scene.run();
  REQUIRE(scene.fetched.end);
  CHECK(scene.fetched.end->how == server::SessionEnd::How::made_way);
  CHECK(scene.house.logged("the customer has had enough: 421 4.3.2 gw.example.org has other work to do"));
  scene.house.put("a@sender.example", {"x@example.org"}, "two");
  MailServer again(scene.house);
  fetch(scene.house, again);
  CHECK(subjects(again) == Subjects{"two"});
}

TEST_CASE("kept: a customer that can take none of what has come says 421, and the mail stays", "[kept]") {
  const InManner manner(GENERATE(Manner::data, Manner::chunks, Manner::pipeline));
  Scene scene;
  const auto close_later = [](House& house, Resting& resting) -> Task<> {
    Stop never;
    co_await net::delay(house.simulation, std::chrono::seconds(50), never);
    resting.is_closed = true;
  };
  scene.house.simulation.start(close_later(scene.house, scene.resting));
  scene.house.simulation.start(put_later(scene.house, std::chrono::seconds(60), "two"));
  scene.run();
  CHECK(subjects(scene.server) == Subjects{"one"});
  REQUIRE(scene.fetched.end);
  CHECK(scene.fetched.end->how == server::SessionEnd::How::made_way);
  CHECK(scene.house.held() == 1);
  MailServer again(scene.house);
  fetch(scene.house, again);
  CHECK(subjects(again) == Subjects{"two"});
}

TEST_CASE("kept: a line that answers no NOOP is given up after a minute", "[kept]") {
  Scene scene;
  Moody mood;
  mood.to_noop = {"250 2.0.0 OK", "dead"};
  const TimePoint begin = scene.house.simulation.now();
  scene.house.simulation.run(be(scene.house, mood));
  scene.house.simulation.settle();
  CHECK(mood.taken == Subjects{"one"});
  CHECK(mood.over - begin >= std::chrono::seconds(105));
  CHECK(mood.over - begin < std::chrono::seconds(110));
  CHECK(scene.house.logged("while the line was kept: "));
}

TEST_CASE("kept: mail waits for no line that has died in silence", "[kept]") {
  Scene scene;
  scene.house.accounts_of([](provider::Customer& customer) { customer.hold = k_nine; });
  Moody dead;
  dead.to_noop = {"250 2.0.0 OK", "dead"};
  scene.house.simulation.start(be(scene.house, dead));
  // The customer has come again; mail goes to where somebody answers, at once.
  scene.house.simulation.start(put_later(scene.house, std::chrono::seconds(30), "two"));
  TimePoint taken{};
  scene.server.on_taken = [&](const MailServer::Message&) { taken = scene.house.simulation.now(); };
  const TimePoint begin = scene.house.simulation.now();
  scene.house.simulation.run(
      stay_later(scene.house, std::chrono::seconds(20), scene.server, scene.resting, scene.fetched));
  scene.house.simulation.settle();
  CHECK(dead.taken == Subjects{"one"});
  CHECK(subjects(scene.server) == Subjects{"two"});
  CHECK(taken - begin < std::chrono::seconds(32));
  CHECK(scene.house.held() == 0);
}

TEST_CASE("kept: an idle line keeps no other ATRN of its customer out", "[kept]") {
  Scene scene;
  scene.house.simulation.start(stay(scene.house.connect(), scene.server, scene.resting, scene.fetched));
  scene.house.simulation.start(put_later(scene.house, std::chrono::seconds(60), "two"));
  scene.house.simulation.start(put_later(scene.house, std::chrono::seconds(61), "three"));
  MailServer other(scene.house);
  Resting rests_too(scene.house);
  Fetched to_other;
  scene.house.accounts_of([](provider::Customer& customer) { customer.hold = k_nine; });
  scene.house.simulation.run(stay_later(scene.house, std::chrono::seconds(20), other, rests_too, to_other));
  scene.house.simulation.settle();
  CHECK(to_other.atrn == "250 2.0.0 turning the line round");
  auto all = subjects(scene.server);
  for (const auto& one : subjects(other)) all.push_back(one);
  std::sort(all.begin(), all.end());
  CHECK(all == Subjects{"one", "three", "two"});
  CHECK(scene.house.held() == 0);
}

TEST_CASE("kept: what a customer says unasked, or in place of 250", "[kept]") {
  struct Case {
    std::string to_noop;
    std::string then;
    std::string last;  // command
    std::string logged;
  };
  const auto one = GENERATE(values<Case>({
      {"500 5.5.1 what is that", "", "QUIT ", "the customer has had enough: 500 5.5.1 what is that"},
      {"421 4.3.2 going", "", "NOOP ", "the customer has had enough: 421 4.3.2 going"},
      {"250 2.0.0 OK", "421 4.3.2 going\r\n", "NOOP ", "the customer has had enough: 421 4.3.2 going"},
      {"250 2.0.0 OK", "250 2.0.0 taken\r\n", "NOOP ", "something came that nobody had asked for"},
      {"250 2.0.0 OK", "nonsense\r\n", "NOOP ", "while the line was kept: "},
  }));
  INFO(one.to_noop << " then " << one.then);
  Scene scene;
  Moody mood;
  mood.to_noop = {one.to_noop};
  mood.then = one.then;
  scene.house.simulation.run(be(scene.house, mood));
  scene.house.simulation.settle();
  CHECK(mood.taken == Subjects{"one"});
  CHECK(mood.heard.ends_with(one.last));
  CHECK(scene.house.logged(one.logged));
  scene.house.put("a@sender.example", {"x@example.org"}, "two");
  MailServer again(scene.house);
  CHECK(fetch(scene.house, again).atrn == "250 2.0.0 turning the line round");
  CHECK(subjects(again) == Subjects{"two"});
}

TEST_CASE("kept: a call that is kept waits, with its sum so far", "[kept][calls]") {
  class Told final : public provider::CallListener {
   public:
    void on_call(const provider::Call& call) override {
      lines.push_back(std::string(call.is_waiting ? "waits" : "works") + " " + std::to_string(call.messages));
    }
    void on_call_over(const provider::Call& call) override {
      lines.push_back((call.is_good ? "good " : "bad ") + std::to_string(call.messages) + " " + call.end);
    }
    void on_refused_login(const std::string& /*address*/) override {}
    Subjects lines;
  };
  Scene scene;
  Told told;
  scene.house.provider->calls.tell(&told);
  scene.house.simulation.start(put_later(scene.house, std::chrono::seconds(60), "two"));
  scene.run();
  CHECK(told.lines == Subjects{"works 0", "waits 1", "works 1", "waits 2", "works 2", "good 2 all sent"});
}

// --- cuts

namespace {

struct Cuts {
  std::size_t runs = 0;
  std::size_t twice = 0;
};

std::size_t count(const Subjects& all, const std::string& one) {
  return static_cast<std::size_t>(std::count(all.begin(), all.end(), one));
}

// A session that rests between two messages, cut by the faults, then another: nothing may be lost, and nothing be
// offered again once we have read its 250.
bool cut_once(House& house, const net::Faults& faults, Cuts& cuts) {
  house.log.text.clear();
  house.reopen();
  keep(house, std::chrono::minutes(2));
  house.put("a@sender.example", {"x@example.org"}, "one");
  MailServer first(house);
  Resting resting(house);
  Fetched fetched;
  house.simulation.start(stay(house.connect(house.clear, faults), first, resting, fetched));
  house.simulation.run(put_later(house, std::chrono::seconds(60), "two"));
  house.simulation.run(net::delay(house.simulation, std::chrono::minutes(20), house.stop));
  house.simulation.settle();
  const std::string read = house.incoming->bytes;
  const bool was_cut =
      house.traffic->bytes_read >= faults.cut_after_read || house.traffic->bytes_written >= faults.cut_after_written;
  MailServer second(house);
  fetch(house, second);
  for (const std::string subject : {"one", "two"}) {
    const std::size_t before = count(first.offered, subject);
    const std::size_t after = count(second.offered, subject);
    const bool is_known = read.find("250 2.0.0 taken " + subject + "\r\n") != std::string::npos;
    CHECK(before + after >= 1);
    CHECK(before <= 1);
    CHECK(after == (is_known ? 0 : 1));
    cuts.twice += before + after - 1;
  }
  REQUIRE(house.held() == 0);
  ++cuts.runs;
  return was_cut;
}

}  // namespace

TEST_CASE("kept: the line cut after every byte, both ways and in each manner", "[kept][cut]") {
  const InManner manner(GENERATE(Manner::data, Manner::chunks, Manner::pipeline));
  const auto how = GENERATE(net::Cut::reset, net::Cut::silence);
  House house(unsynced());
  Cuts cuts;
  net::Faults faults;
  faults.cut = how;
  for (faults.cut_after_read = 1; cut_once(house, faults, cuts); ++faults.cut_after_read) {
  }
  faults.cut_after_read = net::Faults::k_never;
  for (faults.cut_after_written = 0; cut_once(house, faults, cuts); ++faults.cut_after_written) {
  }
  std::cout << "kept, cut after each byte read and written: " << cuts.runs << " sessions of 2 messages, " << cuts.twice
            << " offered again for a 250 that was lost, 0 lost\n";
  CHECK(cuts.runs > 900);
  CHECK(cuts.twice > 0);
}

}  // namespace odmr::test
