// ETRN (RFC 1985): who may say it, what is answered, and where the mail goes then.

#include <catch2/catch.hpp>

#include "net/delay.hpp"
#include "provider_house.hpp"

namespace odmr::test {

namespace {

using provider::Etrn;

// Both customers may say it: "example" (whose mail goes to mx.example.org:25) after its login, "other" without, too.
struct Exchange {
  Exchange() {
    house.outside.exchangers["example.org"] = {"first.example.org", "second.example.org"};
    house.outside.servers["second.example.org:25"] = &server;
    house.outside.servers["192.0.2.99:2525"] = &server;
    house.outside.servers["192.0.2.7:25"] = &caller;
    set([](Etrn& etrn) {
      etrn.to = Etrn::To::domain;
      etrn.server.endpoint.host = "example.org";
    });
  }

  void set(const std::function<void(Etrn&)>& change) {
    house.accounts_of([&](provider::Customer& customer) {
      Etrn etrn;
      etrn.server.endpoint.port = 25;
      etrn.server.hostname = "odmr.example.net";
      if (customer.name == "other") {
        etrn.to = Etrn::To::host;
        etrn.server.endpoint = {"192.0.2.99", 2525, {}, {}};
        etrn.without_login = true;
      } else {
        change(etrn);
      }
      customer.etrn = std::make_shared<const Etrn>(std::move(etrn));
    });
  }

  // Without a login.
  std::string ask_as_stranger(const std::string& command) {
    return converse(house, house.clear, {"EHLO gw.example.org", command})[2];
  }

  House house;
  MailServer server{house};
  MailServer caller{house};
};

const std::string k_not_to_you = "459 4.7.1 not allowed to you";
const std::string k_not_without_login = "459 4.7.1 not allowed here without a login";

}  // namespace

TEST_CASE("etrn: the mail goes out over a connection to the domain's mail exchangers", "[etrn]") {
  Exchange exchange;
  exchange.house.put("a@sender.example", {"x@example.org"}, "one");
  exchange.house.put("a@sender.example", {"x@example.org", "y@example.com"}, "two");
  exchange.house.put("a@sender.example", {"x@other.example"}, "not theirs");
  const auto heard = after_login(exchange.house, {"ETRN example.org", "QUIT"});
  CHECK(heard == Replies{"253 2.0.0 2 pending messages started", "221 2.0.0 odmr.example.net closes"});
  CHECK(exchange.house.outside.connected == Replies{"first.example.org:25", "second.example.org:25"});
  REQUIRE(exchange.server.taken.size() == 2);
  CHECK(exchange.server.taken[1].recipients == Replies{"x@example.org"});  // example.com was not asked for
  CHECK(exchange.server.taken[0].content == "Subject: one\r\n\r\n.dot of one\r\n");
  CHECK(exchange.house.held() == 2);
  CHECK(exchange.house.logged("info pushed customer=example messages=2 recipients=2"));
  CHECK(exchange.house.logged("info ETRN customer=example node=example.org reply=253"));
}

TEST_CASE("etrn: what is pushed is a call of the customer's, and so is what cannot be", "[etrn][calls]") {
  class Told final : public provider::CallListener {
   public:
    void on_call(const provider::Call& /*call*/) override {}
    void on_call_over(const provider::Call& call) override { over.push_back(call); }
    void on_refused_login(const std::string& /*address*/) override {}
    std::vector<provider::Call> over;
  };
  Exchange exchange;
  Told told;
  exchange.house.provider->calls.tell(&told);
  exchange.house.put("a@sender.example", {"x@example.org"}, "one");
  after_login(exchange.house, {"ETRN example.org", "QUIT"});
  REQUIRE(told.over.size() == 2);
  const bool is_push_last = told.over[1].end == "all sent";
  const auto& push = told.over[is_push_last ? 1 : 0];
  const auto& asked = told.over[is_push_last ? 0 : 1];
  CHECK(push.customer == "example");
  CHECK(push.address == "192.0.2.7");
  CHECK(push.is_good);
  CHECK(push.messages == 1);
  CHECK(asked.reply == "253 2.0.0 1 pending messages started");
  CHECK(asked.end.empty());

  told.over.clear();
  after_login(exchange.house, {"ETRN example.org", "QUIT"});
  REQUIRE(told.over.size() == 1);
  CHECK(told.over[0].is_good);  // there was nothing

  told.over.clear();
  exchange.house.put("a@sender.example", {"x@example.org"}, "two");
  exchange.house.outside.servers.clear();
  after_login(exchange.house, {"ETRN example.org", "QUIT"});
  REQUIRE(told.over.size() == 2);
  const auto& lost = told.over[told.over[0].reply.starts_with("ETRN: ") ? 0 : 1];
  CHECK(lost.reply.starts_with("ETRN: its server cannot be reached: "));
  CHECK_FALSE(lost.is_good);
}

TEST_CASE("etrn: a domain with all below it, and a customer's queue", "[etrn]") {
  Exchange exchange;
  exchange.house.accounts_of([](provider::Customer& customer) {
    if (customer.name == "example") customer.domains = {"example.org", "sub.example.org", "notexample.org"};
  });
  for (const std::string domain : {"example.org", "sub.example.org", "notexample.org"})
    exchange.house.put("a@sender.example", {"x@" + domain}, domain);
  CHECK(after_login(exchange.house, {"ETRN @example.org"})[0] == "253 2.0.0 2 pending messages started");
  CHECK(exchange.server.taken.size() == 2);
  CHECK(after_login(exchange.house, {"ETRN @org"})[0] == "253 2.0.0 1 pending messages started");
  CHECK(exchange.server.taken.size() == 3);
  exchange.house.put("a@sender.example", {"x@notexample.org"}, "queue");
  CHECK(after_login(exchange.house, {"ETRN #EXAMPLE"})[0] == "253 2.0.0 1 pending messages started");
  CHECK(exchange.house.held() == 0);
}

TEST_CASE("etrn: what is not the caller's, exists or not, is refused alike", "[etrn]") {
  Exchange exchange;
  exchange.house.put("a@sender.example", {"x@other.example"}, "theirs");
  for (const std::string node :
       {"other.example", "elsewhere.example", "@other.example", "@example", "#other", "#nobody"}) {
    CHECK(after_login(exchange.house, {"ETRN " + node})[0] == k_not_to_you);
  }
  for (const std::string node :
       {"example.org", "elsewhere.example", "@example.org", "@example", "#example", "#nobody"}) {
    CHECK(exchange.ask_as_stranger("ETRN " + node) == k_not_without_login);
  }
  CHECK(exchange.house.outside.connected.empty());
}

TEST_CASE("etrn: without a login, where the configuration lets that be, to where it says", "[etrn]") {
  Exchange exchange;
  const std::string started = "250 2.0.0 what is waiting is being sent";
  CHECK(exchange.ask_as_stranger("ETRN other.example") == started);  // how much that is, is not their affair
  exchange.house.put("a@sender.example", {"x@other.example"}, "one");
  CHECK(exchange.ask_as_stranger("ETRN other.example") == started);
  CHECK(exchange.house.outside.connected == Replies{"192.0.2.99:2525"});
  CHECK(exchange.server.taken.size() == 1);
}

TEST_CASE("etrn: to the address from which it was said", "[etrn]") {
  Exchange exchange;
  exchange.set([](Etrn& etrn) { etrn.to = Etrn::To::caller; });
  exchange.house.put("a@sender.example", {"x@example.org"}, "one");
  CHECK(after_login(exchange.house, {"ETRN example.org"})[0] == "253 2.0.0 1 pending messages started");
  CHECK(exchange.house.outside.connected == Replies{"192.0.2.7:25"});
  CHECK(exchange.caller.taken.size() == 1);
}

TEST_CASE("etrn: mail waits where nobody can be reached, and is sent once", "[etrn]") {
  Exchange exchange;
  exchange.house.put("a@sender.example", {"x@example.org"}, "one");
  exchange.house.outside.servers.clear();
  CHECK(after_login(exchange.house, {"ETRN example.org"})[0].starts_with("253 "));
  CHECK(exchange.house.held() == 1);
  CHECK(exchange.house.logged("warn the mail that ETRN asked for waits customer=example why="));
  exchange.house.outside.exchangers.clear();
  CHECK(after_login(exchange.house, {"ETRN example.org"})[0].starts_with("253 "));
  CHECK(exchange.house.logged("there is no such domain"));
  // Nobody is kept out by it.
  MailServer server(exchange.house);
  CHECK(fetch(exchange.house, server).atrn.starts_with("250"));
  CHECK(exchange.house.held() == 0);
}

TEST_CASE("etrn: while it is being sent, another ETRN begins nothing, and ATRN waits its turn", "[etrn]") {
  Exchange exchange;
  exchange.server.thinking = std::chrono::minutes(2);
  exchange.house.put("a@sender.example", {"x@example.org"}, "one");
  const auto heard =
      after_login(exchange.house, {"ETRN example.org", "ETRN example.org", "ETRN #example", "ATRN", "QUIT"});
  CHECK(heard[0] == "253 2.0.0 1 pending messages started");
  CHECK(heard[1] == "250 2.0.0 they are being sent already");
  CHECK(heard[2] == heard[1]);
  CHECK(heard[3] == "450 4.3.2 another session of yours is fetching mail");
  Stop never;
  exchange.house.simulation.run(net::delay(exchange.house.simulation, std::chrono::minutes(3), never));
  CHECK(exchange.server.taken.size() == 1);
}

TEST_CASE("etrn: while something else has the mail, nobody is told that it is being sent", "[etrn]") {
  Exchange exchange;
  exchange.house.put("a@sender.example", {"x@example.org"}, "one");
  {
    const auto claim = exchange.house.mail->claim({"example.org"});
    CHECK(after_login(exchange.house, {"ETRN example.org"})[0] ==
          "458 4.3.2 they are being looked through: ask again in a moment");
  }
  CHECK(exchange.server.taken.empty());
  CHECK(after_login(exchange.house, {"ETRN example.org"})[0] == "253 2.0.0 1 pending messages started");
}

TEST_CASE("etrn: final refusals bounce, others wait", "[etrn]") {
  Exchange exchange;
  exchange.house.put("a@sender.example", {"no@example.org", "later@example.org"}, "one");
  exchange.server.recipients.emplace("no@example.org", smtp::Reply(550, "5.1.1 no such user"));
  exchange.server.recipients.emplace("later@example.org", smtp::Reply(450, "4.2.1 busy"));
  after_login(exchange.house, {"ETRN example.org"});
  CHECK(exchange.house.ids(provider::Folder::bounces).size() == 1);
  CHECK(exchange.house.held() == 1);
}

TEST_CASE("etrn: the words of the command", "[etrn]") {
  Exchange exchange;
  const auto heard = after_login(exchange.house, {"ETRN", "ETRN a b", "ETRN @", "ETRN #", "ETRN ex\xc3\xa4mple.org"});
  CHECK(heard == Replies{"500 5.5.4 Syntax: ETRN [@|#]node", "501 5.5.4 Syntax: ETRN [@|#]node",
                         "501 5.5.4 Syntax: ETRN [@|#]node", "501 5.5.4 Syntax: ETRN [@|#]node",
                         "501 5.5.4 Syntax: ETRN [@|#]node"});
  CHECK(converse(exchange.house, exchange.house.clear, {"EHLO x"})[1].find(" ETRN ") != std::string::npos);
  House without;
  CHECK(after_login(without, {"ETRN example.org"})[0] == "502 5.5.1 no such command here");
  CHECK(converse(without, without.clear, {"EHLO x"})[1].find("ETRN") == std::string::npos);
}

TEST_CASE("etrn: only from where the customer may call, and not too often", "[etrn]") {
  Exchange exchange;
  exchange.house.put("a@sender.example", {"x@other.example"}, "one");
  exchange.house.accounts_of([](provider::Customer& customer) {
    static_cast<void>(customer.from.add("198.51.100.0/24"));
    customer.atrn_interval = std::chrono::minutes(5);
  });
  CHECK(exchange.ask_as_stranger("ETRN other.example") == k_not_without_login);
  CHECK(after_login(exchange.house, {"ETRN example.org"})[0] == k_not_to_you);
  exchange.house.accounts_of([](provider::Customer& customer) { customer.from = {}; });
  CHECK(after_login(exchange.house, {"ETRN example.org", "ETRN example.org"}) ==
        Replies{"251 2.0.0 no messages are waiting", "458 4.7.0 it has been asked for a moment ago"});
}

TEST_CASE("etrn: a strange server at the other end costs no mail", "[etrn]") {
  Exchange exchange;
  exchange.house.put("a@sender.example", {"x@example.org"}, "one");
  for (const std::string greeting : {"554 no service\r\n", "421 later\r\n", "nonsense\r\n", "\r\n", "250 hello\r\n"}) {
    exchange.server.greeting = greeting;
    CHECK(after_login(exchange.house, {"ETRN example.org"})[0].starts_with("253 "));
    CHECK(exchange.house.held() == 1);
    CHECK(exchange.house.ids(provider::Folder::bounces).empty());
  }
}

TEST_CASE("etrn: the line of a push cut after every byte: nothing is lost", "[etrn][cut]") {
  std::size_t twice = 0;
  std::size_t trials = 0;
  for (std::size_t cut = 0; cut < 700; ++cut) {
    Exchange exchange;
    exchange.house.put("a@sender.example", {"x@example.org"}, "one");
    exchange.house.put("a@sender.example", {"x@example.org"}, "two");
    if (cut % 2 == 0)
      exchange.house.outside.faults.cut_after_read = cut / 2;
    else
      exchange.house.outside.faults.cut_after_written = cut / 2;
    after_login(exchange.house, {"ETRN example.org"});
    exchange.house.outside.faults = {};
    MailServer server(exchange.house);
    fetch(exchange.house, server);
    for (const std::string subject : {"one", "two"}) {
      std::size_t copies = 0;
      for (const auto* taken : {&exchange.server.taken, &server.taken}) {
        for (const auto& message : *taken) {
          if (message.subject() == subject) ++copies;
        }
      }
      CHECK(copies >= 1);
      CHECK(copies <= 2);
      if (copies == 2) ++twice;
    }
    CHECK(exchange.house.held() == 0);
    ++trials;
  }
  // The customer's 250 that did not come through: it is SMTP's own window, and a customer without a journal has it.
  CHECK(twice > 0);
  CHECK(twice < 120);
  CHECK(trials == 700);
}

}  // namespace odmr::test
