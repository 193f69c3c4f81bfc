// Nobody gets, counts or learns of another's mail: whatever one customer, or nobody, asks about a domain that is not
// theirs, the answer is the same whether that domain has mail, has none, or does not exist; in words and in time.

#include <catch2/catch.hpp>
#include <iostream>

#include "net/delay.hpp"
#include "provider_house.hpp"

namespace odmr::test {

namespace {

using provider::Etrn;

// What a stranger can see of a session.
struct Seen {
  Replies replies;
  Duration length{};
  friend bool operator==(const Seen&, const Seen&) = default;
};

// "example" may do all that a customer can. Of the others, one has mail, one has none, one may do nothing, and one is
// being handed mail at this moment; the last domain is nobody's.
struct Town {
  Town() {
    house.way_out = std::make_shared<provider::WayOut>();
    house.way_out->smart_host.role = deliver::TargetOptions::Role::smart_host;
    house.way_out->smart_host.server.endpoint = {"smart.example.net", 25, {}, {}};
    house.provider->way_out = house.way_out;
    std::vector<provider::Account> accounts;
    for (const std::string name : {"example", "full", "empty", "barred", "busy"}) {
      provider::Customer customer;
      customer.name = name;
      customer.user = name + "-user";
      customer.domains = {name + ".example"};
      customer.outbound = name != "barred";
      customer.atrn = name != "barred";
      if (name != "barred") customer.etrn = std::make_shared<const Etrn>();
      accounts.push_back({std::move(customer), Secret("secret of " + name)});
    }
    house.customers = std::make_shared<provider::Customers>(std::move(accounts));
    house.provider->customers = house.customers;
    for (const std::string name : {"full", "busy"}) {
      for (int i = 0; i < 3; ++i) house.put("a@sender.example", {"x@" + name + ".example"}, name);
    }
    auto taken = house.mail->claim({"busy.example"});
    claim.emplace(std::move(*taken));
  }

  Seen see(const Replies& chunks, const Account& account) {
    const TimePoint begun = house.simulation.now();
    Seen seen{converse(house, house.clear, chunks, account), {}};
    seen.length = house.simulation.now() - begun;
    return seen;
  }

  House house;
  std::optional<provider::HeldMail::Claim> claim;
};

const std::vector<std::string> k_names{"full", "empty", "barred", "busy", "nobody"};

// One asks about each of the others: every answer is that which is given about nobody.
std::size_t check_all_alike(const std::vector<std::string>& questions, const Account& account, bool logs_in) {
  std::size_t asked = 0;
  for (const auto& question : questions) {
    std::vector<Seen> all;
    for (const auto& name : k_names) {
      Town town;
      Replies chunks{"EHLO gw.example"};
      if (logs_in) chunks.emplace_back("LOGIN");
      std::string text = question;
      for (auto at = text.find('%'); at != std::string::npos; at = text.find('%')) text.replace(at, 1, name);
      chunks.push_back(text);
      chunks.emplace_back("QUIT");
      auto seen = town.see(chunks, account);
      // The question itself may be told back.
      for (auto& reply : seen.replies) {
        for (auto at = reply.find(name); at != std::string::npos; at = reply.find(name))
          reply.replace(at, name.size(), "%");
      }
      all.push_back(std::move(seen));
      ++asked;
      CHECK(town.house.held() == 6);
      CHECK(town.house.outside.connected.empty());
    }
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {
      INFO(question << " about " << k_names[i]);
      CHECK(all[i].replies == all.back().replies);
      CHECK(all[i].length == all.back().length);
    }
  }
  return asked;
}

}  // namespace

TEST_CASE("strangers: what one customer asks about another's domain, and about nobody's", "[strangers]") {
  const Account account{"example-user", "secret of example", {}};
  const std::size_t asked =
      check_all_alike({"ATRN %.example", "ATRN example.example,%.example", "ATRN %.example,example.example",
                       "ATRN sub.%.example", "ETRN %.example", "ETRN @%.example", "ETRN #%", "ETRN #%-user",
                       "MAIL FROM:<a@%.example>", "VRFY a@%.example", "EXPN %.example", "RCPT TO:<x@%.example>"},
                      account, true);
  std::cout << "strangers: " << asked << " questions of a customer\n";
  CHECK(asked == 60);
}

TEST_CASE("strangers: what somebody without a login asks", "[strangers]") {
  const std::size_t asked = check_all_alike({"ATRN %.example", "ETRN %.example", "ETRN @%.example", "ETRN #%",
                                             "MAIL FROM:<a@%.example>", "RCPT TO:<x@%.example>", "VRFY x@%.example"},
                                            {}, false);
  CHECK(asked == 35);
}

TEST_CASE("strangers: a guess at a customer's password, and at nobody's", "[strangers]") {
  std::size_t asked = 0;
  for (const auto mechanism :
       {sasl::Mechanism::scram_sha_256, sasl::Mechanism::scram_sha_1, sasl::Mechanism::cram_md5}) {
    for (const std::string user : {"%-user", "%.example"}) {
      std::vector<Seen> all;
      for (const auto& name : k_names) {
        Town town;
        std::string text = user;
        text.replace(0, 1, name);
        const Account account{text, "wrong", {mechanism}};
        all.push_back(town.see({"EHLO gw.example", "LOGIN", "NOOP", "QUIT"}, account));
        ++asked;
      }
      for (const auto& seen : all) {
        CHECK(seen.replies == all.back().replies);
        CHECK(seen.length == all.back().length);
      }
      CHECK(all.back().replies[2].starts_with("535"));
    }
  }
  CHECK(asked == 30);
}

TEST_CASE("strangers: a bare ATRN gives one's own mail, and none of the others'", "[strangers]") {
  Town town;
  const Account account{"example-user", "secret of example", {}};
  CHECK(town.see({"EHLO gw.example", "LOGIN", "ATRN"}, account).replies.back() == "453 4.0.0 you have no mail");
  CHECK(town.see({"EHLO gw.example", "LOGIN", "ETRN #example"}, account).replies.back() ==
        "251 2.0.0 no messages are waiting");
  CHECK(town.house.held() == 6);
}

}  // namespace odmr::test
