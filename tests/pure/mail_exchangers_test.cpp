#include "net/mail_exchangers.hpp"

#include <catch2/catch.hpp>

using namespace odmr;
using net::MailExchanger;

namespace {

std::string number(std::size_t value) {
  return {static_cast<char>(value >> 8U), static_cast<char>(value & 0xFFU)};
}

std::string name(const std::string& dotted) {
  std::string octets;
  for (std::size_t begin = 0; begin < dotted.size();) {
    const auto end = std::min(dotted.find('.', begin), dotted.size());
    octets += static_cast<char>(end - begin) + dotted.substr(begin, end - begin);
    begin = end + 1;
  }
  return octets + '\0';
}

std::string record(const std::string& owner, std::size_t type, const std::string& data) {
  return name(owner) + number(type) + number(1) + number(0) + number(300) + number(data.size()) + data;
}

std::string answer(const std::vector<std::string>& records) {
  std::string text = number(4711) + number(0x8180) + number(1) + number(records.size()) + number(0) + number(0) +
                     name("example.org") + number(15) + number(1);
  for (const auto& one : records) text += one;
  return text;
}

std::string exchanger(std::size_t preference, const std::string& host) {
  return record("example.org", 15, number(preference) + name(host));
}

}  // namespace

TEST_CASE("mail exchangers: records of a name server's answer, others passed over", "[dns]") {
  const auto parsed = net::parse_mail_exchangers(answer({
      record("www.example.org", 5, name("example.org")),
      exchanger(20, "second.example.org"),
      exchanger(10, "first.example.org"),
      // A pointer to the question's name (RFC 1035 4.1.4).
      record("example.org", 15, number(30) + std::string("\x02mx\xc0\x0c")),
  }));
  REQUIRE(parsed);
  CHECK(*parsed ==
        std::vector<MailExchanger>{{20, "second.example.org"}, {10, "first.example.org"}, {30, "mx.example.org"}});
  CHECK(net::parse_mail_exchangers(answer({}))->empty());
}

TEST_CASE("mail exchangers: an answer cut off anywhere, or with any octet changed, is an error or an answer", "[dns]") {
  const auto whole = answer({exchanger(20, "second.example.org"), exchanger(10, "first.example.org")});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(net::parse_mail_exchangers(std::string(whole, 0, size)));
  }
  std::size_t refused = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const int value : {0, 1, 0x3F, 0x7F, 0xC0, 0xFF}) {
      auto changed = whole;
      changed[i] = static_cast<char>(value);
      const auto parsed = net::parse_mail_exchangers(changed);
      if (!parsed) ++refused;
      if (parsed) CHECK(parsed->size() <= 2);
    }
  }
  CHECK(refused > 50);
  CHECK_FALSE(net::parse_mail_exchangers(answer({record("example.org", 15, "\x01")})));
  CHECK_FALSE(net::parse_mail_exchangers(std::string(70000, '\0')));
}

TEST_CASE("mail exchangers: the most preferred first, equals by chance, none: the domain itself", "[dns]") {
  using Hosts = std::vector<std::string>;
  const std::vector<MailExchanger> three{{10, "b"}, {20, "c"}, {10, "a"}};
  CHECK(net::in_order(three, "d", {1, 1, 2}).value() == Hosts{"b", "a", "c"});
  CHECK(net::in_order(three, "d", {2, 1, 1}).value() == Hosts{"a", "b", "c"});
  CHECK(net::in_order({}, "example.org", {}).value() == Hosts{"example.org"});
  const auto null = net::in_order({{0, ""}}, "example.org", {1});
  REQUIRE_FALSE(null);
  CHECK(null.error().code == Errc::not_found);
}
