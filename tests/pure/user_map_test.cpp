#include "mail/user_map.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "base/ascii.hpp"

using namespace odmr;
using namespace odmr::mail;
using namespace std::string_literals;

namespace {

std::string found(const UserMap& users, const std::string& address) {
  const auto mailbox = smtp::parse_mailbox(address);
  REQUIRE(mailbox);
  const auto* targets = users.find(*mailbox);
  if (targets == nullptr) return "-";
  std::string out;
  for (const auto& one : *targets) out += (out.empty() ? "" : " ") + one.text();
  return out;
}

}  // namespace

TEST_CASE("the closest pattern wins, in whatever order they stand", "[mailbox]") {
  const std::vector<std::pair<std::string, std::string>> lines{
      {"*@example.org", "domain"},      {"info-*@example.org", "info"},
      {"info-de@example.org", "exact"}, {"anna@*", "anna"},
      {"*-de@example.org", "german"},   {"*@*", "any"},
      {"info-d*@example.org", "id"},    {"*@bücher.example", "books"},
      {"a**z@example.org", "az"}};
  for (const bool backwards : {false, true}) {
    auto order = lines;
    if (backwards) order = {lines.rbegin(), lines.rend()};
    UserMap users;
    CHECK(users.is_empty());
    for (const auto& [pattern, target] : order) REQUIRE(users.add(pattern, {target}));
    CHECK_FALSE(users.is_empty());
    CHECK(found(users, "info-de@example.org") == "exact");
    CHECK(found(users, "INFO-DE@EXAMPLE.ORG") == "exact");
    CHECK(found(users, "\"info-de\"@example.org") == "exact");
    CHECK(found(users, "info-da@example.org") == "id");
    CHECK(found(users, "info-@example.org") == "info");
    CHECK(found(users, "info-en@example.org") == "info");
    CHECK(found(users, "sales-de@example.org") == "german");
    CHECK(found(users, "info@example.org") == "domain");
    CHECK(found(users, "anna@example.org") == "anna");
    CHECK(found(users, "anna@example.com") == "anna");
    CHECK(found(users, "bert@example.com") == "any");
    CHECK(found(users, "bert@xn--bcher-kva.example") == "books");
    CHECK(found(users, "abz@example.org") == "az");
    CHECK(found(users, "az@example.org") == "az");
    CHECK(found(users, "abzb@example.org") == "domain");
  }
}

TEST_CASE("an address may have several recipients, and none fits where there is no pattern", "[mailbox]") {
  UserMap users;
  REQUIRE(users.add("sales@example.org", {"anna", "bert@example.org", "\"c d\"@example.org"}));
  CHECK(found(users, "sales@example.org") == "anna bert@example.org \"c d\"@example.org");
  CHECK(found(users, "sale@example.org") == "-");
  CHECK(found(users, "sales@example.com") == "-");
  CHECK(found(users, "sales@sub.example.org") == "-");
}

TEST_CASE("a line of users that cannot be meant is an error", "[mailbox]") {
  UserMap users;
  REQUIRE(users.add("anna@example.org", {"anna"}));
  REQUIRE(users.add("info-*@example.org", {"anna"}));
  const auto fault = [&users](const std::string& pattern, const std::vector<std::string>& targets) {
    const auto added = users.add(pattern, targets);
    return added ? "" : added.error().text;
  };
  const auto no_address = " is no address: write sales@example.org, info-*@example.org, *@example.org or anna@*"s;
  for (const auto* one : {"", "anna", "@example.org", "anna@", "anna@*.org", "an na@example.org", "<anna@example.org>",
                          "anna@example.org ", "anna@[192.0.2.1]", "anna@exa_mple.org", "*"}) {
    CHECK(fault(one, {"anna"}) == "\"" + std::string(one) + "\"" + no_address);
  }
  const auto no_target =
      " is no recipient: write an address (anna@example.org), or a name that the local target knows (anna), without stars"s;
  for (const auto* one : {"", "an na", "<anna>", "*@example.org", "anna@example.org, bert", "a\r\nDATA"}) {
    CHECK(fault("x@example.org", {"anna", one}) == "\"" + escape(one) + "\"" + no_target);
  }
  CHECK(fault("x@example.org", {}) == "\"x@example.org\" has no recipient: name one, or leave the line out");
  const auto twice = " is there twice: give all its recipients in one list"s;
  CHECK(fault("Anna@Example.org", {"bert"}) == "\"Anna@Example.org\"" + twice);
  CHECK(fault("INFO-*@example.org", {"bert"}) == "\"INFO-*@example.org\"" + twice);
  CHECK(found(users, "anna@example.org") == "anna");
  CHECK(found(users, "x@example.org") == "-");
}

TEST_CASE("many stars take no time", "[mailbox]") {
  UserMap users;
  std::string stars;
  for (int i = 0; i < 100; ++i) stars += "*a";
  REQUIRE(users.add(stars + "b@example.org", {"anna"}));
  CHECK(found(users, std::string(230, 'a') + "@example.org") == "-");
  CHECK(found(users, std::string(230, 'a') + "b@example.org") == "anna");
}

TEST_CASE("mailboxes are compared without regard to letters, quotes and forms of a domain", "[mailbox]") {
  const auto form = [](const std::string& text) { return comparable(*smtp::parse_mailbox(text)); };
  CHECK(form("Anna@Example.ORG") == "anna@example.org");
  CHECK(form("\"Anna\"@example.org") == "anna@example.org");
  CHECK(form("\"an\\na\"@example.org") == "anna@example.org");
  CHECK(form("\"an na\"@example.org") == "\"an na\"@example.org");
  CHECK(form("\"\"@example.org") == "\"\"@example.org");
  CHECK(form("\"a\\\"b\"@example.org") == "\"a\\\"b\"@example.org");
  CHECK(form("anna@BÜCHER.example") == "anna@xn--bcher-kva.example");
  CHECK(form("anna@[IPv6:2001:DB8::1]") == "anna@[ipv6:2001:db8::1]");
  CHECK(comparable({"Anna", ""}) == "anna@");
}
