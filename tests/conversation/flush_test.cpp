// The way out of the outbound queue: a real queue on disk, a smart host in memory, a clock that is set by hand.

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <set>

#include "certificates.hpp"
#include "net/delay.hpp"
#include "net/wakeup.hpp"
#include "queue/attributes.hpp"
#include "smart_host.hpp"

namespace odmr::test {

namespace {

using queue::Standing;
using Subjects = std::vector<std::string>;

Subjects subjects(const std::vector<Taken>& taken) {
  Subjects all;
  for (const auto& one : taken) all.push_back(one.subject);
  return all;
}

void put_many(PostOffice& office, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) office.put("m" + std::to_string(i));
}

// One act at that step, once.
auto once(const std::string& step, const Act& act, std::size_t number = 1) {
  return [step, act, number, seen = std::size_t{0}](const Moment& moment) mutable -> std::optional<Act> {
    if (moment.step != step || ++seen != number) return std::nullopt;
    return act;
  };
}

auto always(const std::string& step, const Act& act) {
  return [step, act](const Moment& moment) -> std::optional<Act> {
    if (moment.step != step) return std::nullopt;
    return act;
  };
}

}  // namespace

// --- what is due

TEST_CASE("flush: nothing due, no connection", "[flush]") {
  PostOffice office;
  const auto report = office.flush();
  CHECK(report.outcome == Outcome::no_mail);
  CHECK(office.host.connections == 0);
  CHECK(report.connections == 0);
}

TEST_CASE("flush: messages go over one connection, in the order of their arrival, and leave the queue", "[flush]") {
  PostOffice office;
  put_many(office, 5);
  const auto report = office.flush();
  CHECK(report.outcome == Outcome::sent);
  CHECK(subjects(office.host.taken) == Subjects{"m0", "m1", "m2", "m3", "m4"});
  CHECK(office.host.taken[0].content == "Subject: m0\r\n\r\ntext\r\n");
  CHECK(office.host.connections == 1);
  CHECK(office.entries().empty());
  CHECK(report.connections == 1);
  CHECK(report.tally.messages == 5);
  CHECK(report.tally.recipients == 5);
  CHECK(report.tally.bytes == 5 * 21);
  CHECK(report.tally.deferred == 0);
  CHECK(report.tally.bounced == 0);
  CHECK(report.tls == std::nullopt);
  CHECK(report.auth == std::nullopt);
  CHECK(office.progress.size() == 5);
  CHECK(office.host.times("QUIT") == 1);
  CHECK(office.log.has("info message id="));
  CHECK(office.log.has(
      " from=<a@example.org> to=<b@example.net> bytes=21 sent=1 put_off=0 failed=0 reply=250 2.0.0 taken"));
  CHECK(office.log.has("info flush over outcome=sent messages=5"));
}

TEST_CASE("flush: what is submitted meanwhile goes too", "[flush]") {
  PostOffice office;
  office.put("first");
  office.host.mood = [&](const Moment& moment) -> std::optional<Act> {
    if (moment.step == "dot" && moment.subject == "first") office.put("second");
    return std::nullopt;
  };
  CHECK(office.flush().outcome == Outcome::sent);
  CHECK(subjects(office.host.taken) == Subjects{"first", "second"});
  CHECK(office.host.connections == 1);
}

TEST_CASE("flush: more than a page of letters goes", "[flush]") {
  PostOffice office;
  put_many(office, 205);
  office.options.max_connections = 2;
  CHECK(office.flush().tally.messages == 205);
  for (int i = 0; i < 205; ++i) CHECK(office.host.count("m" + std::to_string(i)) == 1);
}

TEST_CASE("flush: what is not due is not tried, unless all is asked for", "[flush]") {
  PostOffice office;
  office.put("later");
  office.host.mood = once("dot", {"451 4.3.0 later"});
  CHECK(office.flush().outcome == Outcome::deferred);
  CHECK(office.flush().outcome == Outcome::no_mail);
  CHECK(office.host.connections == 1);
  office.options.all = true;
  CHECK(office.flush().outcome == Outcome::sent);
  CHECK(office.host.count("later") == 1);
}

// --- several connections

TEST_CASE("flush: connections share the work, and no message goes twice", "[flush]") {
  for (const std::size_t most : {2U, 3U, 10U}) {
    PostOffice office;
    put_many(office, 40);
    office.options.max_connections = most;
    const auto report = office.flush();
    CHECK(report.outcome == Outcome::sent);
    CHECK(report.connections == most);
    CHECK(office.host.most_open == most);
    for (int i = 0; i < 40; ++i) CHECK(office.host.count("m" + std::to_string(i)) == 1);
    std::set<std::size_t> used;
    for (const auto& one : office.host.taken) used.insert(one.connection);
    CHECK(used.size() == most);
  }
}

TEST_CASE("flush: one message has one connection, two have two", "[flush]") {
  for (const std::size_t messages : {1U, 2U}) {
    PostOffice office;
    put_many(office, messages);
    office.options.max_connections = 5;
    CHECK(office.flush().connections == messages);
  }
}

TEST_CASE("flush: a host that takes one connection only is served over that one", "[flush]") {
  PostOffice office;
  put_many(office, 30);
  office.options.max_connections = 4;
  office.host.mood = [&](const Moment& moment) -> std::optional<Act> {
    if (moment.step != "greeting" || office.host.open == 1) return std::nullopt;
    return Act{"421 4.7.0 one at a time", false, true};
  };
  const auto report = office.flush();
  CHECK(report.outcome == Outcome::sent);
  CHECK(report.tally.messages == 30);
  CHECK(report.connections == 2);
}

// --- the connection itself is refused

TEST_CASE("flush: a refused connection is no refused message: two connections, and nothing is put off", "[flush]") {
  struct Refusal {
    const char* step;
    Act act;
  };
  for (const auto& [step, act] :
       {Refusal{"connect", {}}, Refusal{"greeting", {"421 4.3.2 closing", false, true}},
        Refusal{"greeting", {"554 5.7.1 go away", false, false}}, Refusal{"greeting", {"", true, false}},
        Refusal{"EHLO", {"421 4.3.2 closing", false, true}}, Refusal{"EHLO", {"550 5.7.1 not you", false, false}},
        Refusal{"EHLO", {"502 5.5.1 what?", false, false}}, Refusal{"EHLO", {"", true, false}},
        Refusal{"greeting", {"nonsense", false, false}}}) {
    INFO(step << " " << act.reply);
    PostOffice office;
    put_many(office, 50);
    office.options.max_connections = 2;
    office.host.mood = always(step, act);
    const auto report = office.flush();
    CHECK(report.outcome == Outcome::unavailable);
    CHECK_FALSE(report.text.empty());
    CHECK(office.host.times("connect") == 2);
    CHECK(report.tally.deferred == 0);
    CHECK(report.tally.bounced == 0);
    const auto entries = office.entries();
    REQUIRE(entries.size() == 50);
    for (const auto& entry : entries) {
      CHECK(entry.tries == 0);
      CHECK(entry.recipients.front().standing == Standing::waiting);
    }
    office.host.mood = nullptr;
    CHECK(office.flush().tally.messages == 50);
  }
}

TEST_CASE("flush: a login or TLS that fails is not tried a second time", "[flush]") {
  struct Case {
    client::TlsPolicy tls;
    std::string step;
    std::string reply;
    Outcome outcome;
  };
  for (const auto& [tls, step, reply, outcome] :
       {Case{client::TlsPolicy::none, "AUTH", "535 5.7.8 no", Outcome::auth},
        Case{client::TlsPolicy::starttls, "STARTTLS", "454 4.7.0 not now", Outcome::tls},
        Case{client::TlsPolicy::starttls, "", "", Outcome::tls}}) {
    INFO(step << " " << reply);
    PostOffice office;
    put_many(office, 5);
    office.options.max_connections = 2;
    office.options.server.tls = tls;
    office.options.server.tls_context = conversation::client_context();
    office.options.server.login = std::make_shared<const client::Login>(
        client::Login{"user", Secret("secret"), {sasl::Mechanism::cram_md5}, false});
    office.host.offers.emplace_back("AUTH CRAM-MD5");
    if (step == "STARTTLS") office.host.tls = conversation::server_context("good");
    if (!step.empty()) office.host.mood = always(step, {reply});
    const auto report = office.flush();
    CHECK(report.outcome == outcome);
    CHECK(report.connections == 1);
    CHECK(office.entries().size() == 5);
    CHECK(office.entries().front().tries == 0);
  }
}

TEST_CASE("flush: a login that cannot be checked now is unavailable, after two connections", "[flush]") {
  PostOffice office;
  put_many(office, 5);
  office.options.server.login = std::make_shared<const client::Login>(
      client::Login{"user", Secret("secret"), {sasl::Mechanism::cram_md5}, false});
  office.host.offers.emplace_back("AUTH CRAM-MD5");
  office.host.mood = always("AUTH", {"454 4.7.0 later"});
  CHECK(office.flush().outcome == Outcome::unavailable);
  CHECK(office.host.connections == 2);
}

TEST_CASE("flush: over TLS; the report says so", "[flush]") {
  PostOffice office;
  put_many(office, 3);
  office.options.server.endpoint.host = "odmr.example.net";
  office.options.server.tls = client::TlsPolicy::starttls;
  office.options.server.tls_context = conversation::client_context();
  office.host.tls = conversation::server_context("good");
  const auto report = office.flush();
  CHECK(report.outcome == Outcome::sent);
  CHECK(report.tls == "TLSv1.3");
  CHECK(report.tally.messages == 3);
}

TEST_CASE("flush: what is older than the lifetime fails even when the host is down", "[flush]") {
  PostOffice office;
  office.put("old");
  office.wait(std::chrono::hours(121));
  office.put("young");
  office.host.mood = always("connect", {});
  const auto report = office.flush();
  CHECK(report.outcome == Outcome::unavailable);
  CHECK(report.tally.bounced == 1);
  CHECK(office.entry("old").recipients.front().standing == Standing::failed);
  CHECK(office.entry("old").recipients.front().reply.find("4.4.1") != std::string::npos);
  CHECK(office.entry("young").recipients.front().standing == Standing::waiting);
}

// --- what the host says about one message

TEST_CASE("flush: every reply at every step has its meaning, and the other messages go", "[flush]") {
  enum class Fate { goes, waits, fails, waits_and_all_stops };
  const auto fate = [](const std::string& step, int code) {
    if (code == 421) return step == "dot" ? Fate::waits : Fate::goes;
    if (code == 530 || code == 535 || code == 538) return Fate::waits_and_all_stops;
    if (step == "MAIL" && (code == 500 || code == 502 || code == 503 || code == 454)) return Fate::waits;
    if (code < 300) return Fate::goes;
    return code < 500 ? Fate::waits : Fate::fails;
  };
  for (const std::string step : {"MAIL", "RCPT", "DATA", "dot"}) {
    for (const int code :
         {421, 450, 451, 452, 454, 455, 500, 501, 502, 503, 504, 530, 535, 538, 550, 551, 552, 553, 554, 555, 571}) {
      for (const bool pipelining : {true, false}) {
        INFO(step << " " << code << (pipelining ? " pipelining" : ""));
        PostOffice office;
        if (!pipelining) office.host.offers.clear();
        put_many(office, 3);
        const bool closes = code == 421;
        // The second message's, once.
        office.host.mood = once(step, {std::to_string(code) + " words", false, closes}, 2);
        const auto report = office.flush();
        const auto wanted = fate(step, code);
        const bool stops = wanted == Fate::waits_and_all_stops;
        CHECK(office.host.count("m0") == 1);
        CHECK(office.host.count("m2") == (stops ? 0 : 1));
        CHECK(office.host.count("m1") == (wanted == Fate::goes ? 1 : 0));
        CHECK(office.host.connections == (closes ? 2 : 1));
        if (wanted == Fate::goes) {
          CHECK(report.outcome == Outcome::sent);
          CHECK(office.entries().empty());
        } else {
          const auto standing = office.entry("m1").recipients.front().standing;
          CHECK(standing == (wanted == Fate::fails ? Standing::failed : Standing::waiting));
          CHECK(office.entry("m1").tries == 1);
          CHECK(office.entry("m1").recipients.front().reply.find("words") != std::string::npos);
          CHECK(report.outcome == (wanted == Fate::fails ? Outcome::sent : stops ? Outcome::auth : Outcome::deferred));
          CHECK(report.tally.bounced == (wanted == Fate::fails ? 1 : 0));
          CHECK(report.tally.deferred == (wanted == Fate::fails ? 0 : 1));
        }
      }
    }
  }
}

TEST_CASE("flush: a host that takes no mail from anybody is asked about two messages, and none fails", "[flush]") {
  for (const std::string reply : {"500 what?", "502 5.5.1 not here", "503 5.5.1 no", "454 4.7.0 no"}) {
    INFO(reply);
    PostOffice office;
    put_many(office, 50);
    office.host.mood = always("MAIL", {reply});
    const auto report = office.flush();
    CHECK(report.outcome == Outcome::unavailable);
    CHECK(office.host.times("MAIL") == 2);
    CHECK(report.tally.bounced == 0);
    for (const auto& entry : office.entries()) CHECK(entry.recipients.front().standing == Standing::waiting);
  }
}

TEST_CASE("flush: a reply of no possible kind ends the line, and nothing is taken for sent", "[flush]") {
  for (const std::string step : {"MAIL", "RCPT", "DATA", "dot"}) {
    for (const std::string reply : {"250 ok\n250 and again", "354 go on", "299 what\n354 go"}) {
      if (step == "DATA" && reply.starts_with("354")) continue;
      if (step == "dot" && reply.starts_with("2")) continue;
      INFO(step << " " << reply);
      PostOffice office;
      put_many(office, 3);
      office.host.mood = once(step, {reply}, 1);
      office.flush();
      office.host.mood = nullptr;
      office.wait(std::chrono::hours(2));
      office.flush();
      for (const auto* subject : {"m0", "m1", "m2"}) CHECK(office.host.count(subject) >= 1);
      CHECK(office.entries().empty());
    }
  }
}

TEST_CASE("flush: a second reply to a dot is not taken for the next message's", "[flush]") {
  PostOffice office;
  put_many(office, 3);
  office.host.mood = once("dot", {"250 taken\n250 taken again"}, 1);
  office.flush();
  // Whatever it meant, the rest went over another connection, each once.
  CHECK(subjects(office.host.taken) == Subjects{"m0", "m1", "m2"});
  CHECK(office.host.connections == 2);
  CHECK(office.entries().empty());
}

TEST_CASE("flush: a bad recipient fails, a slow one waits, the good one gets the message", "[flush]") {
  PostOffice office;
  office.put("mixed", {"good@example.net", "bad@example.net", "slow@example.net"});
  office.host.mood = [](const Moment& moment) -> std::optional<Act> {
    if (moment.line.find("bad@") != std::string::npos) return Act{"550 5.1.1 unknown"};
    if (moment.line.find("slow@") != std::string::npos) return Act{"450 4.2.0 later"};
    return std::nullopt;
  };
  const auto report = office.flush();
  CHECK(report.outcome == Outcome::deferred);
  CHECK(report.tally.messages == 1);
  CHECK(report.tally.recipients == 1);
  CHECK(report.tally.bounced == 1);
  CHECK(report.tally.deferred == 0);  // somebody has it
  const auto entry = office.entry("mixed");
  CHECK(entry.recipients[0].standing == Standing::sent);
  CHECK(entry.recipients[1].standing == Standing::failed);
  CHECK(entry.recipients[2].standing == Standing::waiting);
  office.host.mood = nullptr;
  office.wait(std::chrono::hours(2));
  CHECK(office.flush().outcome == Outcome::sent);
  CHECK(office.host.taken.back().rcpts == std::vector<std::string>{"RCPT TO:<slow@example.net>"});
}

TEST_CASE("flush: many recipients go in several transactions", "[flush]") {
  PostOffice office;
  std::vector<std::string> recipients;
  for (int i = 0; i < 25; ++i) recipients.push_back("r" + std::to_string(i) + "@example.net");
  office.put("many", recipients);
  office.options.most_recipients = 10;
  const auto report = office.flush();
  CHECK(report.tally.messages == 1);
  CHECK(report.tally.recipients == 25);
  REQUIRE(office.host.taken.size() == 3);
  CHECK(office.host.taken[0].rcpts.size() == 10);
  CHECK(office.host.taken[2].rcpts.size() == 5);
  CHECK(office.entries().empty());
}

TEST_CASE("flush: 452 after some recipients means another transaction, at once", "[flush]") {
  for (const std::string reply :
       {"452 4.5.3 too many recipients", "452 too many", "552 5.5.3 too many", "552 Too many recipients"}) {
    INFO(reply);
    PostOffice office;
    std::vector<std::string> recipients;
    for (int i = 0; i < 8; ++i) recipients.push_back("r" + std::to_string(i) + "@example.net");
    office.put("many", recipients);
    office.host.mood = [&, accepted = 0](const Moment& moment) mutable -> std::optional<Act> {
      if (moment.step == "MAIL") accepted = 0;
      if (moment.step != "RCPT" || ++accepted <= 3) return std::nullopt;
      return Act{reply};
    };
    const auto report = office.flush();
    CHECK(report.outcome == Outcome::sent);
    CHECK(report.tally.recipients == 8);
    CHECK(office.host.taken.size() == 3);
    CHECK(office.entries().empty());
  }
}

TEST_CASE("flush: 452 to the first recipient, or for a full mailbox, is an ordinary put-off", "[flush]") {
  PostOffice office;
  office.put("full", {"a@example.net", "b@example.net"});
  office.host.mood = [&](const Moment& moment) -> std::optional<Act> {
    if (moment.line.find("b@example.net") != std::string::npos) return Act{"452 4.2.2 mailbox full"};
    return std::nullopt;
  };
  CHECK(office.flush().outcome == Outcome::deferred);
  CHECK(office.host.times("MAIL") == 1);
  office.host.mood = always("RCPT", {"452 4.5.3 too many"});
  office.wait(std::chrono::hours(2));
  CHECK(office.flush().outcome == Outcome::deferred);
  CHECK(office.host.times("MAIL") == 2);
}

TEST_CASE("flush: a recipient with a full mailbox by 552 fails", "[flush]") {
  PostOffice office;
  office.put("full", {"a@example.net", "b@example.net"});
  office.host.mood = once("RCPT", {"552 5.2.2 mailbox full"}, 2);
  CHECK(office.flush().tally.bounced == 1);
  CHECK(office.entry("full").recipients[1].standing == Standing::failed);
}

TEST_CASE("flush: what is larger than the host takes fails without being sent", "[flush]") {
  PostOffice office;
  office.put("large", {"b@example.net"}, std::string(2000, 'x') + "\r\n");
  office.put("small");
  office.host.offers = {"PIPELINING", "SIZE 1000"};
  const auto report = office.flush();
  CHECK(report.tally.bounced == 1);
  CHECK(office.entry("large").recipients.front().reply.find("552 5.3.4") == 0);
  CHECK(office.host.times("MAIL") == 1);
  CHECK(office.host.count("small") == 1);
}

TEST_CASE("flush: a host asks nobody for what it does not offer", "[flush]") {
  const spool::Attributes all{{"ret", "FULL"}, {"envid", "e1"}, {queue::k_body, "8BITMIME"}};
  PostOffice office;
  office.put("full", {"b@example.net"}, "\xc3\xa9\r\n", all);
  office.flush();
  CHECK(office.host.taken.at(0).mail == "MAIL FROM:<a@example.org> SIZE=21 BODY=8BITMIME RET=FULL ENVID=e1");
  PostOffice bare;
  bare.host.offers.clear();
  bare.put("bare", {"b@example.net"}, "\xc3\xa9\r\n", all);
  bare.flush();
  CHECK(bare.host.taken.at(0).mail == "MAIL FROM:<a@example.org>");
  CHECK(bare.host.taken.at(0).content == "Subject: bare\r\n\r\n\xc3\xa9\r\n");
}

TEST_CASE("flush: an address that needs SMTPUTF8 fails at a host without it", "[flush]") {
  PostOffice office;
  office.put("accent", {"\xc3\xa9@example.net"}, "text\r\n", {{queue::k_smtputf8, "envelope"}});
  office.host.offers = {"PIPELINING"};
  CHECK(office.flush().tally.bounced == 1);
  CHECK(office.entry("accent").recipients.front().reply.find("550 5.6.7") == 0);
}

TEST_CASE("flush: an address that is none fails alone", "[flush]") {
  PostOffice office;
  office.put("odd", {"good@example.net", "no address", "fine@example.net"});
  const auto report = office.flush();
  CHECK(report.tally.recipients == 2);
  CHECK(report.tally.bounced == 1);
  CHECK(office.entry("odd").recipients[1].reply.find("553 5.1.3") == 0);
}

// --- the line breaks

TEST_CASE("flush: a line lost anywhere before the dot puts one message off, and the next one goes", "[flush]") {
  for (const std::string step : {"MAIL", "RCPT", "DATA"}) {
    INFO(step);
    PostOffice office;
    put_many(office, 4);
    office.host.mood = once(step, {"", true, false});
    const auto report = office.flush();
    CHECK(report.outcome == Outcome::deferred);
    CHECK(subjects(office.host.taken) == Subjects{"m1", "m2", "m3"});
    CHECK(office.host.connections == 2);
    CHECK(office.entry("m0").tries == 1);
    CHECK_FALSE(office.log.has("twice"));
  }
}

TEST_CASE("flush: after two lost lines in a row without a message through it ends", "[flush]") {
  for (const std::string step : {"MAIL", "RCPT", "DATA", "dot"}) {
    INFO(step);
    PostOffice office;
    put_many(office, 20);
    office.host.mood = always(step, {"", true, false});
    const auto report = office.flush();
    CHECK(report.outcome == Outcome::unavailable);
    CHECK(office.host.connections == 2);
    CHECK(report.tally.bounced == 0);
  }
}

TEST_CASE("flush: 421 again and again ends it after two connections, and nobody's mail has failed", "[flush]") {
  for (const std::string step : {"MAIL", "RCPT", "DATA", "dot"}) {
    INFO(step);
    PostOffice office;
    put_many(office, 20);
    office.host.mood = always(step, {"421 4.3.2 closing", false, true});
    const auto report = office.flush();
    CHECK(report.outcome == Outcome::unavailable);
    CHECK(office.host.connections == 2);
    for (const auto& entry : office.entries()) CHECK(entry.recipients.front().standing == Standing::waiting);
  }
}

TEST_CASE("flush: a host that takes so many messages a connection, and then closes, gets all of them", "[flush]") {
  for (const std::string reply : {"421 4.7.0 enough for one connection", ""}) {
    INFO(reply);
    PostOffice office;
    put_many(office, 20);
    office.host.mood = [&, mails = std::map<std::size_t, int>()](const Moment& moment) mutable -> std::optional<Act> {
      if (moment.step != "MAIL" || ++mails[moment.connection] <= 3) return std::nullopt;
      return Act{reply, reply.empty(), true};
    };
    const auto report = office.flush();
    CHECK(report.outcome == Outcome::sent);
    CHECK(report.tally.messages == 20);
    CHECK(report.connections == 7);
    CHECK(office.host.taken.size() == 20);
  }
}

TEST_CASE("flush: a message that always ends its line waits after the second one, and the others go", "[flush]") {
  for (const bool says_421 : {true, false}) {
    PostOffice office;
    put_many(office, 30);
    office.put("poison", {"poison@example.net"});
    for (int i = 30; i < 60; ++i) office.put("m" + std::to_string(i));
    office.options.max_connections = 2;
    office.host.mood = [&](const Moment& moment) -> std::optional<Act> {
      if (moment.line.find("poison@") == std::string::npos) return std::nullopt;
      return Act{says_421 ? "421 4.3.2 closing" : "", !says_421, true};
    };
    const auto report = office.flush();
    CHECK(report.outcome == Outcome::deferred);
    CHECK(report.tally.messages == 60);
    CHECK(report.tally.deferred == 1);
    CHECK(report.connections <= 4);
    CHECK(office.entry("poison").tries == 1);
  }
}

// --- answers that nobody asked for

TEST_CASE("flush: a host that answers before the end of a message is not believed, and its line ends there",
          "[flush]") {
  for (const bool pipelining : {true, false}) {
    INFO((pipelining ? "pipelining" : "in turn"));
    PostOffice office;
    put_many(office, 3);
    if (!pipelining) office.host.offers.clear();
    office.host.mood = once("DATA", {"354 go on\n250 2.0.0 taken"});
    const auto report = office.flush();
    CHECK(report.outcome == Outcome::deferred);
    CHECK(report.tally.bounced == 0);
    CHECK(subjects(office.host.taken) == Subjects{"m1", "m2"});
    CHECK(office.host.connections == 2);
    CHECK(office.entry("m0").recipients.front().standing == Standing::waiting);
  }
}

TEST_CASE("flush: a refusal before the end of a message is that message's own", "[flush]") {
  for (const bool pipelining : {true, false}) {
    INFO((pipelining ? "pipelining" : "in turn"));
    PostOffice office;
    put_many(office, 3);
    if (!pipelining) office.host.offers.clear();
    office.host.mood = once("DATA", {"354 go on\n552 5.3.4 too big"});
    const auto report = office.flush();
    CHECK(report.tally.bounced == 1);
    CHECK(subjects(office.host.taken) == Subjects{"m1", "m2"});
    CHECK(office.entry("m0").recipients.front().standing == Standing::failed);
  }
}

TEST_CASE("flush: a host that is one answer ahead refuses nobody's mail", "[flush]") {
  PostOffice office;
  put_many(office, 3);
  office.host.offers = {"PIPELINING"};
  // The answers to RCPT and DATA are late by one: on another line the message goes.
  office.host.mood = once("MAIL", {"552 5.3.4 too big\n250 2.1.0 OK"}, 2);
  const auto report = office.flush();
  CHECK(report.outcome == Outcome::sent);
  CHECK(report.tally.bounced == 0);
  CHECK(office.host.connections == 2);
  CHECK(subjects(office.host.taken) == Subjects{"m0", "m1", "m2"});
}

TEST_CASE("flush: a line lost after the dot leaves its message in doubt: put off, and said so", "[flush]") {
  PostOffice office;
  put_many(office, 3);
  office.host.mood = once("dot", {"", true, false}, 2);
  const auto report = office.flush();
  CHECK(report.outcome == Outcome::deferred);
  CHECK(report.tally.messages == 2);
  CHECK(office.log.has("warn the line broke before the answer to a message came: it may arrive twice"));
  CHECK(office.entry("m1").tries == 1);
  CHECK(office.host.connections == 2);
}

// --- disk

namespace {

// Work waits until it is let go.
class HeldWorker final : public net::Worker {
 public:
  explicit HeldWorker(net::Simulation& simulation) : changed_(simulation.loop().get_executor()) {}

  net::Task<> run(std::function<void()> work) override {
    ++waiting;
    while (is_held) co_await changed_.wait();
    --waiting;
    work();
  }
  void let_go() {
    is_held = false;
    changed_.wake();
  }

  bool is_held = false;
  std::size_t waiting = 0;

 private:
  net::Wakeup changed_;
};

net::Task<> flush_into(PostOffice& office, send::FlushReport& report, bool& is_over) {
  const send::OnFlushProgress nobody;
  report =
      co_await send::flush(office.options, *office.queue, office.host, *office.disk, nobody, office.log, office.stop);
  is_over = true;
}

// A flush under way, whose disk stops when the host answers the dot of `subject`, or any.
struct HeldFlush {
  explicit HeldFlush(PostOffice& post_office, std::optional<std::string> subject = {}) : office(post_office) {
    auto worker = std::make_unique<HeldWorker>(office.simulation);
    disk = worker.get();
    office.disk = std::move(worker);
    office.host.mood = [this, subject](const Moment& moment) -> std::optional<Act> {
      if (moment.step == "dot" && (!subject || moment.subject == *subject)) disk->is_held = true;
      return std::nullopt;
    };
    office.open_queue();
    REQUIRE(office.queue->refresh());
    office.simulation.start(flush_into(office, report, is_over));
    office.simulation.settle();
  }

  PostOffice& office;
  HeldWorker* disk = nullptr;
  send::FlushReport report;
  bool is_over = false;
};

}  // namespace

TEST_CASE("flush: while an answer is not on disk the next message goes up to its dot, and no further", "[flush]") {
  PostOffice office;
  put_many(office, 3);
  HeldFlush held(office, "m0");
  CHECK(held.disk->waiting == 1);
  CHECK(office.host.times("MAIL") == 2);
  CHECK(office.host.times("DATA") == 2);
  CHECK(office.host.times("dot") == 1);
  CHECK_FALSE(held.is_over);
  held.disk->let_go();
  office.simulation.settle();
  CHECK(held.is_over);
  CHECK(held.report.outcome == Outcome::sent);
  CHECK(subjects(office.host.taken) == Subjects{"m0", "m1", "m2"});
}

TEST_CASE("flush: of a large message everything but its end goes while the disk is busy", "[flush]") {
  PostOffice office;
  office.put("m0");
  office.put("large", {"b@example.net"}, std::string(300000, 'x') + "\r\n");
  HeldFlush held(office, "m0");
  CHECK(office.host.traffic->bytes_written > 200000);
  CHECK(office.host.times("dot") == 1);
  held.disk->let_go();
  office.simulation.settle();
  REQUIRE(held.is_over);
  CHECK(office.host.taken.size() == 2);
}

TEST_CASE("flush: answers of several connections that wait go to disk in one batch", "[flush]") {
  PostOffice office;
  put_many(office, 8);
  office.options.max_connections = 4;
  HeldFlush held(office);
  // One batch is at work, the other answers wait for it together.
  CHECK(held.disk->waiting == 1);
  CHECK(office.host.times("dot") == 4);
  office.host.mood = nullptr;
  held.disk->let_go();
  office.simulation.settle();
  REQUIRE(held.is_over);
  CHECK(held.report.tally.messages == 8);
}

TEST_CASE("flush: an answer waits a moment for those that are about to come, and one sync serves them", "[flush]") {
  class CountingWorker final : public net::Worker {
   public:
    net::Task<> run(std::function<void()> work) override {
      ++runs;
      work();
      co_return;
    }
    std::size_t runs = 0;
  };
  PostOffice office;
  put_many(office, 100);
  office.options.max_connections = 4;
  auto worker = std::make_unique<CountingWorker>();
  auto& disk = *worker;
  office.disk = std::move(worker);
  CHECK(office.flush().tally.messages == 100);
  // Two for each batch, and those that look into the directory.
  CHECK(disk.runs < 100);
}

TEST_CASE("flush: when answers cannot be written down no dot goes out any more", "[flush]") {
  for (const std::size_t connections : {1U, 2U}) {
    PostOffice office;
    put_many(office, 10);
    office.options.max_connections = connections;
    office.host.mood = [&](const Moment& moment) -> std::optional<Act> {
      if (moment.step == "dot") office.files.refuses = "unlink";
      return std::nullopt;
    };
    const auto report = office.flush();
    CHECK(report.outcome == Outcome::state);
    CHECK_FALSE(report.text.empty());
    CHECK(report.tally.deferred == 0);
    CHECK(office.host.times("dot") <= connections);
    CHECK(office.host.times("dot") >= 1);
    // And no message but those is ever doubled.
    office.files.refuses.clear();
    office.host.mood = nullptr;
    office.wait(std::chrono::hours(2));
    CHECK(office.flush().outcome == Outcome::sent);
    CHECK(office.host.taken.size() <= 10 + connections);
    CHECK(office.entries().empty());
  }
}

TEST_CASE("flush: when a note cannot be written no further message is begun", "[flush]") {
  for (const std::string call : {"append", "write", "close"}) {
    INFO(call);
    PostOffice office;
    for (int i = 0; i < 5; ++i) office.put("m" + std::to_string(i), {"good@example.net", "late@example.net"});
    office.host.mood = [&](const Moment& moment) -> std::optional<Act> {
      if (moment.step == "dot") office.files.refuses = call;
      if (moment.line.find("late@") != std::string::npos) return Act{"450 4.2.1 busy", false, false};
      return std::nullopt;
    };
    CHECK(office.flush().outcome == Outcome::state);
    CHECK(office.host.times("dot") == 1);
    // The one that was begun before this was known is given up before its dot.
    CHECK(office.host.times("MAIL") <= 2);
  }
}

TEST_CASE("flush: where notes cannot be written nothing is sent", "[flush]") {
  for (const std::string call : {"append", "write", "close", "sync"}) {
    for (const bool over_a_connection : {false, true}) {
      INFO(call);
      PostOffice office;
      put_many(office, 3);
      office.open_queue();
      REQUIRE(office.queue->refresh());
      office.files.refuses = call;
      const auto report = over_a_connection ? office.flush_over().report : office.flush();
      CHECK(report.outcome == Outcome::state);
      CHECK(report.text.find("cannot be written down") != std::string::npos);
      CHECK(office.host.times("MAIL") == 0);
      CHECK(office.host.connections == (over_a_connection ? 1 : 0));
      office.files.refuses.clear();
      CHECK(office.flush().tally.messages == 3);
    }
  }
}

TEST_CASE("flush: a message whose text is damaged is set aside, and the others go", "[flush]") {
  for (const bool in_the_middle : {false, true}) {
    PostOffice office;
    office.put("m0");
    const std::string id = office.put("bad", {"b@example.net"}, std::string(200000, 'x') + "\r\n");
    office.put("m2");
    const std::string path = queue::directory_in(office.directory.path()) + "/held/" + id;
    const auto damage = [path] {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      REQUIRE(file);
      file.seekp(150000);
      file.put('y');
    };
    if (!in_the_middle) damage();
    office.host.mood = [&](const Moment& moment) -> std::optional<Act> {
      if (in_the_middle && moment.step == "DATA" && office.host.times("DATA") == 2) damage();
      return std::nullopt;
    };
    office.flush();
    CHECK(subjects(office.host.taken) == Subjects{"m0", "m2"});
    CHECK(office.host.connections == (in_the_middle ? 2 : 1));
    CHECK(office.log.has("damaged"));
    CHECK(office.entries().empty());
    struct stat found {};
    CHECK(::stat((queue::directory_in(office.directory.path()) + "/corrupt/" + id).c_str(), &found) == 0);
  }
}

TEST_CASE("flush: a message that cannot be read now waits, and the others go", "[flush]") {
  PostOffice office;
  put_many(office, 3);
  office.files.times = 1;
  office.host.mood = [&](const Moment& moment) -> std::optional<Act> {
    if (moment.step == "DATA" && office.host.times("DATA") == 2) office.files.refuses = "read_at";
    return std::nullopt;
  };
  CHECK(office.flush().outcome == Outcome::deferred);
  CHECK(subjects(office.host.taken) == Subjects{"m0", "m2"});
  CHECK(office.entry("m1").tries == 1);
}

// --- the budget of a line

TEST_CASE("flush: when its minutes are over it begins no other message, and ends the one in hand", "[flush]") {
  for (const std::string step : {"MAIL", "RCPT", "DATA"}) {
    INFO(step);
    PostOffice office;
    put_many(office, 5);
    office.options.max_connections = 1;
    office.options.until = office.simulation.now() + std::chrono::minutes(3);
    office.host.mood = [&](const Moment& moment) -> std::optional<Act> {
      Act slowly;
      slowly.thinks = std::chrono::minutes(2);
      if (moment.step == step) return slowly;
      return std::nullopt;
    };
    const auto report = office.flush();
    CHECK(report.outcome == Outcome::deferred);
    CHECK(report.text.find("share of the line") != std::string::npos);
    CHECK(subjects(office.host.taken) == Subjects{"m0", "m1"});
    CHECK(office.host.times("QUIT") == 1);
    const auto entries = office.entries();
    CHECK(entries.size() == 3);
    for (const auto& entry : entries) CHECK(entry.tries == 0);
  }
}

TEST_CASE("flush: what is put off is told in the words of who put it off first", "[flush]") {
  PostOffice office;
  put_many(office, 3);
  office.options.max_connections = 1;
  office.host.mood = [&](const Moment& moment) -> std::optional<Act> {
    if (moment.step != "RCPT" || office.host.times("RCPT") == 1) return std::nullopt;
    return Act{"450 4.2.1 greylisted, number " + std::to_string(office.host.times("RCPT"))};
  };
  const auto report = office.flush();
  CHECK(report.outcome == Outcome::deferred);
  CHECK(report.tally.deferred == 2);
  CHECK(report.text.find("the first answer was \"450 4.2.1 greylisted, number 2\"") != std::string::npos);
}

// --- stopping

TEST_CASE("flush: the first signal lets the transaction in hand end, and begins no other", "[flush]") {
  for (const std::string step : {"MAIL", "RCPT", "DATA", "dot"}) {
    INFO(step);
    PostOffice office;
    put_many(office, 5);
    office.host.mood = [&](const Moment& moment) -> std::optional<Act> {
      if (moment.step == step && office.host.times(step) == 2) office.stop.advance(Stop::Phase::finish);
      return std::nullopt;
    };
    const auto report = office.flush();
    CHECK(report.outcome == Outcome::unavailable);
    CHECK(report.text == "stopped by a signal");
    CHECK(subjects(office.host.taken) == Subjects{"m0", "m1"});
    CHECK(office.host.times("QUIT") == 1);
    CHECK(office.entries().size() == 3);
  }
}

TEST_CASE("flush: a signal ends a message of many recipients after the transaction in hand", "[flush]") {
  PostOffice office;
  std::vector<std::string> recipients;
  for (int i = 0; i < 25; ++i) recipients.push_back("r" + std::to_string(i) + "@example.net");
  office.put("many", recipients);
  office.options.most_recipients = 10;
  office.host.mood = [&](const Moment& moment) -> std::optional<Act> {
    if (moment.step == "DATA") office.stop.advance(Stop::Phase::finish);
    return std::nullopt;
  };
  const auto report = office.flush();
  CHECK(report.outcome == Outcome::unavailable);
  CHECK(report.tally.messages == 1);
  CHECK(report.tally.recipients == 10);
  CHECK(office.host.times("MAIL") == 1);
  CHECK(office.entry("many").recipients[9].standing == Standing::sent);
  CHECK(office.entry("many").recipients[10].standing == Standing::waiting);
}

TEST_CASE("flush: the second signal closes at once; a message before its dot waits as if untried", "[flush]") {
  for (const std::string step : {"MAIL", "RCPT", "DATA"}) {
    INFO(step);
    PostOffice office;
    put_many(office, 5);
    office.host.mood = [&](const Moment& moment) -> std::optional<Act> {
      if (moment.step == step && office.host.times(step) == 2) office.stop.advance(Stop::Phase::leave);
      return std::nullopt;
    };
    const auto report = office.flush();
    CHECK(report.outcome == Outcome::unavailable);
    CHECK(report.text == "stopped by a signal");
    CHECK_FALSE(office.log.has("the smart host's line is over"));
    CHECK(subjects(office.host.taken) == Subjects{"m0"});
    const auto entries = office.entries();
    CHECK(entries.size() == 4);
    for (const auto& entry : entries) CHECK(entry.tries == 0);
  }
}

TEST_CASE("flush: a signal before the first connection sends nothing", "[flush]") {
  PostOffice office;
  put_many(office, 2);
  office.stop.advance(Stop::Phase::finish);
  CHECK(office.flush().outcome == Outcome::unavailable);
  CHECK(office.host.connections == 0);
}

TEST_CASE("flush: a signal with the last message in hand is no failure", "[flush]") {
  PostOffice office;
  put_many(office, 1);
  office.host.mood = [&](const Moment& moment) -> std::optional<Act> {
    if (moment.step == "dot") office.stop.advance(Stop::Phase::finish);
    return std::nullopt;
  };
  CHECK(office.flush().outcome == Outcome::sent);
}

// --- what is changed on the way

TEST_CASE("flush: a smart host that insists on a sender gets it, in the envelope and in From", "[flush]") {
  PostOffice office;
  office.options.from = smtp::Mailbox{"system", "example.org"};
  office.put("one", {"b@example.net"}, std::string(150000, 'x') + "\r\n");
  office.put("null", {"b@example.net", "c@example.net"}, "text\r\n", {}, "");
  office.options.most_recipients = 1;
  CHECK(office.flush().outcome == Outcome::sent);
  REQUIRE(office.host.taken.size() == 3);
  CHECK(office.host.taken[0].mail.starts_with("MAIL FROM:<system@example.org> SIZE="));
  CHECK(office.host.taken[1].mail.starts_with("MAIL FROM:<> "));
  for (const auto& one : office.host.taken) {
    CHECK(one.content.find("system@example.org") != std::string::npos);
    CHECK(one.mail.find(" SIZE=" + std::to_string(one.content.size())) != std::string::npos);
  }
  CHECK(office.host.taken[1].content == office.host.taken[2].content);
  CHECK(office.host.taken[0].content.ends_with("\r\n\r\n" + std::string(150000, 'x') + "\r\n"));
}

TEST_CASE("flush: 8-bit text is converted for a host without 8BITMIME, by the program that does it", "[flush]") {
  const spool::Attributes eight{{queue::k_body, "8BITMIME"}};
  const std::vector<std::string> converter{"/bin/sh", "-c", "LC_ALL=C tr '\\200-\\377' '[_*]'"};
  struct Case {
    std::vector<std::string> argv;
    bool has_8bitmime;
    std::string body;
    std::string arrives;
    std::string said;
  };
  const std::string accent = "\xc3\xa9\r\n";
  for (const auto& [argv, has_8bitmime, body, arrives, said] :
       {Case{converter, false, accent, "__\r\n", ""}, Case{converter, true, accent, accent, ""},
        Case{converter, false, "plain\r\n", "plain\r\n", ""},
        Case{{"/bin/sh", "-c", "exit 65"}, false, accent, accent, ""},
        Case{{"/bin/sh", "-c", "exit 70"}, false, accent, accent, "ended with status 70"},
        Case{{"/nonexistent/program"}, false, accent, accent, "nonexistent"}, Case{{}, false, accent, accent, ""}}) {
    INFO((argv.empty() ? std::string() : argv.back()) << has_8bitmime);
    PostOffice office;
    office.options.seven_bit_argv = argv;
    office.host.offers = {"PIPELINING"};
    if (has_8bitmime) office.host.offers.emplace_back("8BITMIME");
    office.put("one", {"b@example.net"}, body, eight);
    CHECK(office.flush().outcome == Outcome::sent);
    CHECK(office.host.taken.at(0).content == "Subject: one\r\n\r\n" + arrives);
    CHECK(office.host.taken.at(0).mail.ends_with(has_8bitmime ? "BODY=8BITMIME" : ">"));
    CHECK(office.log.has("as it is") == !said.empty());
    CHECK(office.log.has(said));
  }
}

// --- POP before SMTP

namespace {

void with_pop(PostOffice& office, client::TlsPolicy tls, std::vector<std::string> script) {
  client::Server server;
  server.endpoint = net::Endpoint{"odmr.example.net", 110, {}};
  server.tls = tls;
  server.tls_context = conversation::client_context();
  server.login = std::make_shared<const client::Login>(client::Login{"user", Secret("pass phrase"), {}, false});
  office.options.pop_before_smtp = send::PopBeforeSmtp{server};
  office.host.pop3[110] = std::move(script);
}

}  // namespace

TEST_CASE("flush: the incoming server is asked first, once", "[flush]") {
  PostOffice office;
  put_many(office, 20);
  office.options.max_connections = 3;
  with_pop(office, client::TlsPolicy::none, {"+OK hello", "", "+OK", "", "+OK in", "", "+OK bye"});
  CHECK(office.flush().outcome == Outcome::sent);
  CHECK(office.host.heard == std::vector<std::string>{"USER user", "PASS pass phrase", "QUIT"});
  CHECK_FALSE(office.log.has("pass phrase"));
}

TEST_CASE("flush: the incoming server is not asked where there is nothing to send", "[flush]") {
  PostOffice office;
  with_pop(office, client::TlsPolicy::none, {"+OK hello"});
  CHECK(office.flush().outcome == Outcome::no_mail);
  CHECK(office.host.heard.empty());
}

TEST_CASE("flush: POP before SMTP over TLS", "[flush]") {
  for (const auto tls : {client::TlsPolicy::starttls, client::TlsPolicy::if_available, client::TlsPolicy::implicit}) {
    PostOffice office;
    put_many(office, 1);
    const bool implicit = tls == client::TlsPolicy::implicit;
    office.host.tls = conversation::server_context("good");
    std::vector<std::string> script{"+OK hello", "", "+OK go", "TLS", "", "+OK", "", "+OK in", "", "+OK bye"};
    if (implicit) script = {"TLS", "+OK hello", "", "+OK", "", "+OK in", "", "+OK bye"};
    with_pop(office, tls, script);
    CHECK(office.flush().outcome == Outcome::sent);
    CHECK(office.host.heard.size() == (implicit ? 3U : 4U));
  }
}

TEST_CASE("flush: POP before SMTP that fails sends nothing, and shows no password where it must not", "[flush]") {
  using client::TlsPolicy;
  struct Case {
    TlsPolicy tls;
    std::vector<std::string> script;
    Outcome outcome;
    std::size_t heard;
  };
  for (const auto& [tls, script, outcome, heard] :
       {Case{TlsPolicy::none, {"-ERR busy"}, Outcome::unavailable, 0},
        Case{TlsPolicy::none, {"220 an SMTP server"}, Outcome::unavailable, 0},
        Case{TlsPolicy::none, {std::string(9000, 'x')}, Outcome::unavailable, 0},
        Case{TlsPolicy::none, {"CLOSE"}, Outcome::unavailable, 0}, Case{TlsPolicy::none, {}, Outcome::unavailable, 0},
        Case{TlsPolicy::none, {"+OK", "", "-ERR who?"}, Outcome::auth, 1},
        Case{TlsPolicy::none, {"+OK", "", "+OK", "", "-ERR wrong"}, Outcome::auth, 2},
        Case{TlsPolicy::none, {"+OK\n+OK early", "", "+OK", "", "+OK"}, Outcome::unavailable, 0},
        Case{TlsPolicy::none, {"+OK", "", "+OK\n+OK early", "", "+OK"}, Outcome::unavailable, 1},
        Case{TlsPolicy::none, {"+OK", "", "+OK", "", "-ERR [SYS/TEMP] later"}, Outcome::unavailable, 2},
        Case{TlsPolicy::none, {"+OK", "", "+OK", "", "-ERR [IN-USE] later"}, Outcome::unavailable, 2},
        Case{TlsPolicy::starttls, {"+OK", "", "-ERR what?"}, Outcome::tls, 1},
        Case{TlsPolicy::if_available, {"+OK", "", "-ERR what?"}, Outcome::tls, 1},
        Case{TlsPolicy::starttls, {"+OK", "", "+OK\n+OK injected"}, Outcome::tls, 1}}) {
    INFO(script.size() << (script.empty() ? std::string() : script.back().substr(0, 40)));
    PostOffice office;
    put_many(office, 3);
    with_pop(office, tls, script);
    CHECK(office.flush().outcome == outcome);
    CHECK(office.host.heard.size() == heard);
    CHECK(office.host.connections == 0);
    CHECK(office.entries().size() == 3);
    CHECK(office.entries().front().tries == 0);
  }
}

// --- over the provider's connection

TEST_CASE("flush over a connection: everything goes, and the connection can go on", "[flush]") {
  PostOffice office;
  put_many(office, 5);
  const auto flushed = office.flush_over();
  CHECK(flushed.report.outcome == Outcome::sent);
  CHECK(flushed.report.tally.messages == 5);
  CHECK_FALSE(flushed.broken);
  CHECK(office.host.times("QUIT") == 0);
  CHECK(office.host.open == 1);
  CHECK(office.entries().empty());
}

TEST_CASE("flush over a connection: a provider that takes no mail there keeps nobody from asking for mail", "[flush]") {
  for (const std::string reply : {"500 what?", "502 5.5.1 not here", "503 5.5.1 no", "530 5.7.0 no"}) {
    for (const bool pipelining : {true, false}) {
      INFO(reply);
      PostOffice office;
      if (!pipelining) office.host.offers.clear();
      put_many(office, 5);
      office.host.mood = always("MAIL", {reply});
      const auto flushed = office.flush_over();
      CHECK(flushed.report.outcome == Outcome::deferred);
      CHECK(flushed.report.text.find("takes no mail on this connection") != std::string::npos);
      CHECK_FALSE(flushed.broken);
      CHECK(flushed.report.tally.bounced == 0);
      CHECK(office.host.times("MAIL") == 1);
      for (const auto& entry : office.entries()) CHECK(entry.tries == 0);
    }
  }
}

TEST_CASE("flush over a connection: a refused recipient leaves no transaction open", "[flush]") {
  PostOffice office;
  put_many(office, 2);
  office.host.mood = always("RCPT", {"550 5.1.1 nobody"});
  const auto flushed = office.flush_over();
  CHECK(flushed.report.outcome == Outcome::sent);
  CHECK(flushed.report.tally.bounced == 2);
  CHECK(office.host.times("RSET") == 2);
  CHECK_FALSE(flushed.broken);
}

TEST_CASE("flush over a connection: a broken one is said to be", "[flush]") {
  for (const std::string step : {"MAIL", "DATA", "dot"}) {
    PostOffice office;
    put_many(office, 3);
    office.host.mood = once(step, {"", true, false}, 2);
    const auto flushed = office.flush_over();
    CHECK(flushed.report.outcome == Outcome::unavailable);
    CHECK(flushed.broken);
    CHECK(office.host.connections == 1);
    CHECK(office.host.count("m0") == 1);
  }
}

TEST_CASE("flush over a connection: nothing due, nothing said", "[flush]") {
  PostOffice office;
  const auto flushed = office.flush_over();
  CHECK(flushed.report.outcome == Outcome::no_mail);
  CHECK(office.host.times("MAIL") == 0);
}

// --- the ledger

namespace {

// Whatever happened once: in the end everybody has every message, and none twice but the one whose answer was lost.
void check_ledger(PostOffice& office, std::size_t messages, std::size_t most_doubled) {
  office.host.mood = nullptr;
  office.host.faults.clear();
  for (int run = 0; run < 5 && !office.entries().empty(); ++run) {
    office.wait(std::chrono::hours(2));
    office.flush();
  }
  CHECK(office.entries().empty());
  std::size_t doubled = 0;
  for (std::size_t i = 0; i < messages; ++i) {
    const auto count = office.host.count("m" + std::to_string(i));
    CHECK(count >= 1);
    doubled += count - 1;
  }
  CHECK(doubled <= most_doubled);
  for (const auto& one : office.host.taken) CHECK(one.content.ends_with("\r\n\r\ntext\r\n"));
}

}  // namespace

TEST_CASE("flush: whatever moment the host goes at, nothing is lost and nothing doubled but what was in doubt",
          "[flush][ledger]") {
  for (const std::size_t connections : {1U, 2U}) {
    std::size_t moments = 1;
    for (std::size_t at = 1; at <= moments; ++at) {
      for (const bool closes_first : {true, false}) {
        PostOffice office;
        office.options.max_connections = connections;
        put_many(office, 4);
        office.host.mood = [&, seen = std::size_t{0}](const Moment& moment) mutable -> std::optional<Act> {
          if (++seen != at || moment.step == "connect") return std::nullopt;
          return Act{"", closes_first, true};
        };
        INFO(connections << " connections, moment " << at << (closes_first ? " before" : " after"));
        office.flush();
        moments = std::max<std::size_t>(moments, at == 1 ? office.host.moments.size() : 0);
        check_ledger(office, 4, 1);
      }
    }
    CHECK(moments >= 19);
  }
}

TEST_CASE("flush: wherever the line is cut, nothing is lost and nothing doubled but what was in doubt",
          "[flush][ledger]") {
  net::Traffic whole;
  {
    PostOffice office;
    put_many(office, 3);
    office.flush();
    whole = *office.host.traffic;
  }
  const auto play = [](const net::Faults& faults) {
    PostOffice office;
    put_many(office, 3);
    office.host.faults[1] = faults;
    office.flush();
    check_ledger(office, 3, 1);
  };
  for (std::size_t at = 0; at < whole.bytes_read; at += 5) {
    INFO("read " << at);
    net::Faults faults;
    faults.cut_after_read = at;
    play(faults);
  }
  for (std::size_t at = 0; at < whole.bytes_written; at += 5) {
    INFO("written " << at);
    net::Faults faults;
    faults.cut_after_written = at;
    play(faults);
  }
  for (std::size_t at = 0; at < whole.writes; ++at) {
    net::Faults faults;
    faults.fail_write = at;
    play(faults);
  }
}

TEST_CASE("flush: however the host's bytes are cut, the result is the same", "[flush]") {
  for (const std::size_t largest : {1U, 2U, 7U}) {
    PostOffice office;
    put_many(office, 3);
    office.host.faults[1].largest_read = largest;
    const auto report = office.flush();
    CHECK(report.outcome == Outcome::sent);
    CHECK(subjects(office.host.taken) == Subjects{"m0", "m1", "m2"});
    CHECK(office.host.connections == 1);
  }
}

TEST_CASE("flush: whichever call to the disk fails, nothing is lost", "[flush][ledger]") {
  for (const std::string call : {"unlink", "append", "write", "open", "lock", "list", "read_at", "status"}) {
    for (const std::size_t connections : {1U, 2U}) {
      INFO(call << " " << connections);
      PostOffice office;
      office.options.max_connections = connections;
      put_many(office, 4);
      office.host.mood = [&](const Moment& moment) -> std::optional<Act> {
        if (moment.step == "dot" && moment.subject == "m1") office.files.refuses = call;
        return std::nullopt;
      };
      office.flush();
      office.files.refuses.clear();
      check_ledger(office, 4, connections);
    }
  }
}

}  // namespace odmr::test
