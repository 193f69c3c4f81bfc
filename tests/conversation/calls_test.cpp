// What is told of customers' calls while they go on, and written down of them.

#include <catch2/catch.hpp>

#include "app/call_recorder.hpp"
#include "net/system_network.hpp"
#include "provider_house.hpp"

namespace odmr::test {

namespace {

using provider::Call;

// "+one", "one waits", "-one good 3: 250 …".
class Told final : public provider::CallListener {
 public:
  void on_call(const Call& call) override {
    lines.push_back((was_waiting_ == call.is_waiting ? "+"
                     : call.is_waiting               ? "waits "
                                                     : "waits no more ") +
                    call.customer);
    was_waiting_ = call.is_waiting;
  }
  void on_call_over(const Call& call) override {
    lines.push_back("-" + call.customer + (call.is_good ? " good " : " ") + std::to_string(call.messages) + ": " +
                    call.reply.substr(0, 3) + " " + call.end);
    last = call;
  }
  void on_refused_login(const std::string& address) override { lines.push_back("refused " + address); }

  std::vector<std::string> lines;
  Call last;

 private:
  bool was_waiting_ = false;
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("calls: mail that is fetched, and the word that there is none", "[calls]") {
  House house;
  Told told;
  house.provider->calls.tell(&told);
  house.put("a@b.example", {"c@example.org", "d@example.com"}, "one");
  house.put("a@b.example", {"c@example.org"}, "two");
  MailServer server(house);
  server.recipients.emplace("d@example.com", smtp::Reply(450, "4.2.0 later"));
  fetch(house, server);
  CHECK(told.lines == Lines{"+example", "-example good 2: 250 all sent"});
  CHECK(told.last.recipients == 2);
  CHECK(told.last.put_off == 1);
  CHECK(told.last.bytes > 0);
  CHECK(told.last.address == "192.0.2.7:4711");
  told.lines.clear();
  house.accounts_of([](provider::Customer& customer) { customer.hold = {}; });
  CHECK(converse(house, house.clear, {"EHLO x", "LOGIN", "ATRN other.example", "ATRN example.com", "QUIT"}).size() ==
        6);
  CHECK(told.lines.front() == "+example");
  CHECK(house.provider->calls.under_way().empty());
}

TEST_CASE("calls: who logs in and asks for nothing, and who is refused", "[calls]") {
  House house;
  Told told;
  house.provider->calls.tell(&told);
  converse(house, house.clear, {"EHLO x", "LOGIN", "QUIT"});
  CHECK(told.lines == Lines{"+example", "-example 0:  "});
  told.lines.clear();
  converse(house, house.clear, {"EHLO x", "LOGIN", "ATRN other.example", "QUIT"});
  CHECK(told.lines == Lines{"+example", "-example 0: 450 "});
  told.lines.clear();
  converse(house, house.clear, {"EHLO x", "LOGIN", "QUIT"}, {"example.org", "wrong", {sasl::Mechanism::cram_md5}});
  REQUIRE(told.lines.size() == 1);
  CHECK(told.lines.front().starts_with("refused"));
}

TEST_CASE("calls: a line that is held waits, until there is mail or time is over", "[calls]") {
  House house;
  house.accounts_of([](provider::Customer& customer) { customer.hold = std::chrono::minutes(9); });
  Told told;
  house.provider->calls.tell(&told);
  converse(house, house.clear, {"EHLO x", "LOGIN", "XHOLD", "ATRN", "QUIT"});
  CHECK(told.lines == Lines{"+example", "waits example", "waits no more example", "-example good 0: 453 "});
}

TEST_CASE("calls: the recorder writes them down, the last ones when it goes", "[calls]") {
  const TemporaryDirectory directory;
  asio::io_context loop;
  net::SystemClock clock(loop);
  Call call;
  call.number = 1;
  call.customer = "one";
  call.began = call.ended = clock.wall();
  {
    app::CallRecorder recorder(directory.path(), loop, clock, silent_log());
    recorder.on_call(call);
    recorder.on_refused_login("192.0.2.1");
    loop.run();
    auto reader = provider::CallBook::open_to_read(directory.path());
    REQUIRE(reader);
    REQUIRE(*reader);
    CHECK((*reader)->under_way()->size() == 1);
    recorder.on_call_over(call);
  }
  auto book = provider::CallBook::open(directory.path());
  REQUIRE(book);
  CHECK(book->under_way()->empty());
  CHECK(book->newest(10)->size() == 1);
  CHECK(book->refused_logins(clock.wall() - std::chrono::hours(1), 10)->size() == 1);
}

TEST_CASE("calls: where they cannot be written down, one line says so", "[calls]") {
  asio::io_context loop;
  net::SystemClock clock(loop);
  RecordedLog log;
  app::CallRecorder recorder("/dev/null/nowhere", loop, clock, log);
  recorder.on_refused_login("192.0.2.1");
  recorder.on_call({});
  loop.run();
  CHECK(log.text.find("what customers do is not written down") != std::string::npos);
}

}  // namespace odmr::test
