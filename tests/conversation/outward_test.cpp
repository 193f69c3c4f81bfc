// Mail of a customer's own, on the provider's line before ATRN: through to the smart host, and nothing kept.

#include <catch2/catch.hpp>
#include <iostream>

#include "net/delay.hpp"
#include "provider_house.hpp"

namespace odmr::test {

namespace {

const std::string k_content = "Subject: one\r\n\r\n..dot\r\n.\r\n";
const std::string k_received_content = "Subject: one\r\n\r\n.dot\r\n";

std::string without_trace(const std::string& content) {
  return content.substr(content.find("Subject: "));
}

}  // namespace

TEST_CASE("outward: mail of the customer's own goes to the smart host, whose answer is the answer", "[outward]") {
  Outgoing out;
  out.host.subjects.emplace("one", smtp::Reply(250, "2.0.0 queued as 4ABC"));
  out.host.recipients.emplace("no@d.example", smtp::Reply(550, "5.1.1 no such user"));
  const auto heard =
      after_login(out.house, {"MAIL FROM:<anna@example.org> SIZE=100 BODY=8BITMIME", "RCPT TO:<c@d.example>",
                              "RCPT TO:<no@d.example>", "DATA", k_content, "QUIT"});
  CHECK(heard == Replies{"250 2.1.0 OK", "250 2.1.5 OK", "550 5.1.1 no such user", "354 end with CRLF.CRLF",
                         "250 2.0.0 queued as 4ABC", "221 2.0.0 odmr.example.net closes"});
  CHECK(out.host.offered == std::vector<std::string>{"one"});
  CHECK(out.house.held() == 0);
  CHECK(out.house.logged("info message passed on trace="));
  CHECK(out.house.logged("submitter=example"));
}

TEST_CASE("outward: a program is a smart host like any other", "[outward]") {
  Outgoing out;
  out.house.way_out->smart_host.server.endpoint = {};
  out.house.way_out->smart_host.server.endpoint.program = {"/usr/sbin/sendmail", "-bs"};
  out.house.outside.servers = {{"/usr/sbin/sendmail -bs", &out.host}};
  out.host.recipients.emplace("no@d.example", smtp::Reply(550, "5.1.1 no such user"));
  const std::vector<std::string> one{
      "MAIL FROM:<anna@example.org>", "RCPT TO:<c@d.example>", "RCPT TO:<no@d.example>", "DATA", k_content, "QUIT"};
  CHECK(after_login(out.house, one) == Replies{"250 2.1.0 OK", "250 2.1.5 OK", "550 5.1.1 no such user",
                                               "354 end with CRLF.CRLF", "250 2.0.0 taken one",
                                               "221 2.0.0 odmr.example.net closes"});
  CHECK(out.house.outside.connected == std::vector<std::string>{"/usr/sbin/sendmail -bs"});
  REQUIRE(out.host.taken.size() == 1);
  CHECK(without_trace(out.host.taken[0].content) == k_received_content);
  out.house.outside.servers.clear();
  CHECK(
      after_login(out.house, {"MAIL FROM:<anna@example.org>"})[0].starts_with("451 4.4.1 the smart host is not ready"));
}

TEST_CASE("outward: a call that only brings mail says how much", "[outward][calls]") {
  class Told final : public provider::CallListener {
   public:
    void on_call(const provider::Call& /*call*/) override {}
    void on_call_over(const provider::Call& call) override { replies.push_back(call.reply); }
    void on_refused_login(const std::string& /*address*/) override {}
    std::vector<std::string> replies;
  };
  Outgoing out;
  Told told;
  out.house.provider->calls.tell(&told);
  out.host.recipients.emplace("no@d.example", smtp::Reply(550, "5.1.1 no such user"));
  const std::vector<std::string> one{"MAIL FROM:<anna@example.org>", "RCPT TO:<c@d.example>", "DATA", k_content};
  auto chunks = one;
  chunks.insert(chunks.end(), {"NOOP", "MAIL FROM:<anna@example.org>", "RCPT TO:<no@d.example>", "RSET"});
  chunks.insert(chunks.end(), one.begin(), one.end());
  chunks.emplace_back("QUIT");
  after_login(out.house, chunks);
  after_login(out.house, {"MAIL FROM:<anna@example.org>", "RCPT TO:<c@d.example>", "DATA", k_content, "ATRN", "QUIT"});
  CHECK(told.replies == Replies{"2 of its own messages passed on", "453 4.0.0 you have no mail"});
}

TEST_CASE("outward: the message arrives to the byte, below a line that says who brought it", "[outward]") {
  Outgoing out;
  after_login(out.house, {"MAIL FROM:<anna@EXAMPLE.com>", "RCPT TO:<c@d.example>", "DATA", k_content, "QUIT"});
  REQUIRE(out.host.taken.size() == 1);
  const auto& message = out.host.taken[0];
  CHECK(message.reverse_path == "anna@EXAMPLE.com");
  CHECK(message.recipients == std::vector<std::string>{"c@d.example"});
  CHECK(message.content.starts_with("Received: from gw.example.org (192.0.2.7 [192.0.2.7])") == false);
  CHECK(message.content.starts_with("Received: from gw.example.org ("));
  CHECK(message.content.find("by odmr.example.net with ESMTPA") != std::string::npos);
  CHECK(without_trace(message.content) == k_received_content);
}

TEST_CASE("outward: no open relay: senders in the customer's own domains alone", "[outward]") {
  Outgoing out;
  const auto heard =
      after_login(out.house, {"MAIL FROM:<anna@other.example>", "MAIL FROM:<anna@sub.example.org>", "MAIL FROM:<anna>",
                              "MAIL FROM:<>", "RSET", "MAIL FROM:<@other.example:anna@example.org>", "RSET", "QUIT"});
  CHECK(heard[0] == "550 5.7.1 mail is taken from senders in your own domains alone");
  CHECK(heard[1] == heard[0]);
  CHECK(heard[2].starts_with("5"));
  CHECK(heard[3] == "250 2.1.0 OK");
  CHECK(heard[5] == "250 2.1.0 OK");  // RFC 5321 appendix F.2: a source route is passed over
  CHECK(out.host.taken.empty());
}

TEST_CASE("outward: who may not send, and who has not logged in, hears so; EHLO offers what there is", "[outward]") {
  Outgoing out;
  const auto hello = converse(out.house, out.house.clear, {"EHLO gw.example.org", "MAIL FROM:<anna@example.org>"});
  CHECK(hello[1] ==
        "250 odmr.example.net ATRN ENHANCEDSTATUSCODES XEMPTIES PIPELINING 8BITMIME SMTPUTF8 CHUNKING SIZE 1000 AUTH "
        "SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5");
  CHECK(hello[2] == "530 5.7.0 log in first");
  const Account other{"other.example", "another", {}};
  const auto others = converse(out.house, out.house.clear,
                               {"EHLO gw", "LOGIN", "MAIL FROM:<o@other.example>", "RCPT TO:<c@d.example>"}, other);
  CHECK(others[3] == "502 5.5.1 no mail is taken from you here");
  CHECK(others[4] == "502 5.5.1 no such command here");
  CHECK(out.house.outside.connected.empty());

  House without;
  CHECK(after_login(without, {"MAIL FROM:<anna@example.org>"})[0] == "502 5.5.1 no such command here");
}

TEST_CASE("outward: ATRN after the mail, and mail again after a 453", "[outward]") {
  Outgoing out;
  const auto heard =
      after_login(out.house, {"MAIL FROM:<anna@example.org>", "RCPT TO:<c@d.example>", "DATA", k_content, "ATRN",
                              "MAIL FROM:<anna@example.org>", "ATRN", "EHLO gw.example.org",
                              "MAIL FROM:<anna@example.org>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n", "HEAR", "HEAR",
                              "Subject: two\r\n\r\n.\r\n", "NOOP", "RSET", "HELP", "QUIT"});
  CHECK(heard[3] == "250 2.0.0 taken one");
  CHECK(heard[4] == "453 4.0.0 you have no mail");
  CHECK(heard[5] == "250 2.1.0 OK");
  CHECK(heard[6] == "502 5.5.1 not on this line");  // inside a transaction
  CHECK(heard[7].starts_with("250 odmr.example.net"));
  CHECK(heard[11] == "250 2.0.0 taken two");
  CHECK(heard.back() == "221 2.0.0 odmr.example.net closes");
  CHECK(out.host.taken.size() == 2);
  // Each stretch of mail has a connection of its own to the smart host.
  CHECK(out.house.outside.connected.size() == 3);
}

TEST_CASE("outward: pipelined with ATRN behind it, the mail goes out before the line turns", "[outward]") {
  Outgoing out;
  out.house.put("a@sender.example", {"x@example.org"}, "held");
  const auto heard = after_login(out.house, {"MAIL FROM:<anna@example.org>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n",
                                             "HEAR", "HEAR", k_content + "ATRN\r\n", "HEAR"});
  CHECK(heard[3] == "250 2.0.0 taken one");
  CHECK(heard[4] == "250 2.0.0 turning the line round");
}

TEST_CASE("outward: BDAT, and a lone LF", "[outward]") {
  Outgoing out;
  const auto heard =
      after_login(out.house, {"MAIL FROM:<anna@example.org>", "RCPT TO:<c@d.example>",
                              "BDAT 17 LAST\r\nSubject: c\r\n\r\nabc", "MAIL FROM:<anna@example.org>",
                              "RCPT TO:<c@d.example>", "DATA", "Subject: b\r\n\r\na\nb\r\n.\r\n", "QUIT"});
  CHECK(heard[2] == "250 2.0.0 taken c");
  CHECK(heard[6] == "550 5.6.11 a CR or an LF stands alone in the message");
  REQUIRE(out.host.taken.size() == 1);
  CHECK(without_trace(out.host.taken[0].content) == "Subject: c\r\n\r\nabc\r\n");
}

TEST_CASE("outward: too large, too many recipients an hour, too many hops", "[outward]") {
  Outgoing out;
  out.house.accounts_of([](provider::Customer& customer) { customer.outbound_limit = 3; });
  std::vector<std::string> chunks{"MAIL FROM:<anna@example.org> SIZE=1001", "MAIL FROM:<anna@example.org>"};
  for (int i = 0; i < 4; ++i) chunks.push_back("RCPT TO:<c" + std::to_string(i) + "@d.example>");
  chunks.insert(chunks.end(), {"RSET", "QUIT"});
  auto heard = after_login(out.house, chunks);
  CHECK(heard[0] == "552 5.3.4 at most 1000 octets are taken here");
  CHECK(heard[4] == "250 2.1.5 OK");
  CHECK(heard[5] == "452 4.7.1 you have had as many recipients as you may in an hour: later");

  // A third of an hour later there is one more, whatever the session.
  Stop never;
  out.house.simulation.run(net::delay(out.house.simulation, std::chrono::minutes(20), never));
  chunks.erase(chunks.begin());
  heard = after_login(out.house, chunks);
  CHECK(heard[1] == "250 2.1.5 OK");
  CHECK(heard[2].starts_with("452 4.7.1"));

  std::string hops;
  for (int i = 0; i < 101; ++i) hops += "Received: x\r\n";
  out.house.accounts_of([](provider::Customer& customer) { customer.outbound_limit = 500; });
  out.house.simulation.run(net::delay(out.house.simulation, std::chrono::hours(1), never));
  out.house.way_out->options.limits.max_size = 100000;
  heard = after_login(out.house, {"MAIL FROM:<anna@example.org>", "RCPT TO:<c@d.example>", "DATA", hops + "\r\n.\r\n"});
  CHECK(heard[3].starts_with("554 5.4.6"));
  CHECK(out.host.taken.empty());
}

TEST_CASE("outward: a smart host that is down, or wants a login, puts mail off, with why", "[outward]") {
  Outgoing out;
  out.house.outside.servers.clear();
  auto heard = after_login(out.house, {"MAIL FROM:<anna@example.org>", "NOOP", "ATRN"});
  CHECK(heard[0] == "451 4.4.1 the smart host is not ready: smart.example.net:25: Connection refused");
  CHECK(heard[2] == "453 4.0.0 you have no mail");
  out.house.outside.servers[k_smart_host] = &out.host;
  out.host.greeting = "554 no service\r\n";
  heard = after_login(out.house, {"MAIL FROM:<anna@example.org>"});
  CHECK(heard[0].starts_with("451 4.4.1 the smart host is not ready: "));
}

TEST_CASE("outward: a signal lets the message in hand finish, and no other begin", "[outward]") {
  Outgoing out;
  out.host.thinking = std::chrono::seconds(30);
  out.host.on_taken = [&](const MailServer::Message&) { out.house.stop.advance(Stop::Phase::finish); };
  const auto heard = after_login(out.house, {"MAIL FROM:<anna@example.org>", "RCPT TO:<c@d.example>", "DATA", k_content,
                                             "MAIL FROM:<anna@example.org>"});
  CHECK(heard[3] == "250 2.0.0 taken one");
  CHECK(heard[4].starts_with("421 4.3.2"));
}

TEST_CASE("outward: a customer that falls silent in a message is left, and nothing goes out", "[outward]") {
  Outgoing out;
  const auto heard =
      after_login(out.house, {"MAIL FROM:<anna@example.org>", "RCPT TO:<c@d.example>", "DATA", "5m", "5m"});
  CHECK(heard.size() == 3);
  out.house.simulation.settle();
  CHECK(out.host.taken.empty());
  CHECK(out.host.offered.empty());
}

namespace {

// What became of one message, the customer's line or the smart host's being cut somewhere.
struct Outcome {
  bool is_answered = false;
  std::size_t taken = 0;
  std::size_t bytes = 0;  // that the line could have been cut after
  std::string content;
};

Outcome send_over(const net::Faults& ours, const net::Faults& hosts) {
  Outgoing out;
  out.house.outside.faults = hosts;
  client::Session session(out.house.connect(out.house.clear, ours), client::Dialect::smtp, silent_log(),
                          std::chrono::minutes(2));
  Outcome outcome;
  const auto send = [](client::Session& line, Outcome& result) -> net::Task<> {
    const Duration patience = std::chrono::minutes(20);
    const auto greeting = co_await line.read_reply(patience);
    if (!greeting) co_return;
    const auto hello = co_await line.ask("EHLO gw.example.org\r\n", patience);
    if (!hello) co_return;
    line.set_capabilities(smtp::Capabilities::from(*hello));
    client::Login login{"example.org", Secret("secret"), {sasl::Mechanism::cram_md5}, false};
    const auto in = co_await client::log_in(line, login, client::TlsPolicy::none, patience);
    if (!in) co_return;
    for (const std::string command : {"MAIL FROM:<anna@example.org>\r\n", "RCPT TO:<c@d.example>\r\n", "DATA\r\n"}) {
      const auto reply = co_await line.ask(command, patience);
      if (!reply || !(reply->is_positive() || reply->code == 354)) co_return;
    }
    const auto answer = co_await line.ask(k_content, patience);
    result.is_answered = answer && answer->is_positive();
    co_await line.quit(std::chrono::seconds(5));
  };
  auto task = send(session, outcome);
  static_cast<void>(out.house.simulation.run(std::move(task)));
  session.close();
  out.house.simulation.settle();
  outcome.taken = out.host.taken.size();
  if (outcome.taken > 0) outcome.content = without_trace(out.host.taken[0].content);
  outcome.bytes = out.house.traffic->bytes_read;
  return outcome;
}

}  // namespace

TEST_CASE("outward: the line cut after every byte of the customer's, and the smart host's after each of its",
          "[outward][cut]") {
  const Outcome whole = send_over({}, {});
  REQUIRE(whole.is_answered);
  REQUIRE(whole.taken == 1);
  std::size_t trials = 0;
  std::size_t unanswered = 0;
  const auto judge = [&](const Outcome& outcome) {
    ++trials;
    CHECK(outcome.taken <= 1);
    if (outcome.taken == 1) CHECK(outcome.content == k_received_content);
    if (outcome.is_answered) CHECK(outcome.taken == 1);
    if (outcome.taken == 1 && !outcome.is_answered) ++unanswered;
  };
  for (std::size_t cut = 0; cut <= whole.bytes; ++cut) {
    net::Faults faults;
    faults.cut_after_read = cut;
    judge(send_over(faults, {}));
  }
  for (std::size_t cut = 0; cut <= 600; ++cut) {
    net::Faults faults;
    faults.cut_after_read = cut;
    judge(send_over({}, faults));
    faults.cut_after_read = net::Faults::k_never;
    faults.cut_after_written = cut;
    judge(send_over({}, faults));
  }
  std::cout << "outward: " << trials << " cuts, nothing half, " << unanswered
            << " sent whose 250 was cut off (the customer sends them again, as SMTP has it)\n";
  CHECK(unanswered > 0);
}

}  // namespace odmr::test
