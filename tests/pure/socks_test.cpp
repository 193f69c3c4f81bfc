#include "net/socks.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "pieces.hpp"

using namespace odmr;
using namespace odmr::net;
using namespace std::string_literals;

namespace {

// What is there once the first piece has come, and once both have.
template <class Value>
void check_at_every_split(socks::Parsed<Value> (*parse)(std::string_view), const std::string& bytes, Value value,
                          std::size_t size) {
  test::at_every_split(bytes, [&](std::string_view first, std::string_view /*second*/) {
    CAPTURE(bytes.size(), first.size());
    const auto early = parse(first);
    REQUIRE(early);
    CHECK(early->has_value() == (first.size() >= size));
    const auto whole = parse(bytes);
    REQUIRE(whole);
    REQUIRE(*whole);
    CHECK((*whole)->value == value);
    CHECK((*whole)->size == size);
  });
}

}  // namespace

TEST_CASE("what is said to a SOCKS proxy, to the byte (RFC 1928, RFC 1929)") {
  CHECK(socks::greeting(false) == "\x05\x01\x00"s);
  CHECK(socks::greeting(true) == "\x05\x02\x00\x02"s);
  CHECK(socks::login("anna", "pw").value() == "\x01\x04"s + "anna" + "\x02" + "pw");
  CHECK(socks::connect_request("odmr.example.net", 366).value() ==
        "\x05\x01\x00\x03\x10"s + "odmr.example.net" + "\x01\x6e");
  CHECK(socks::connect_request("192.0.2.1", 366).value() == "\x05\x01\x00\x01\xc0\x00\x02\x01\x01\x6e"s);
  CHECK(socks::connect_request("2001:db8::1", 25).value() ==
        "\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x19"s);
}

TEST_CASE("what one octet cannot count is not said to a SOCKS proxy") {
  const std::string longest(255, 'x');
  CHECK(socks::login(longest, longest).value().size() == 1 + 256 + 256);
  for (const auto& [user, password] :
       {std::pair(longest + "x", "pw"s), {"u"s, longest + "x"}, {""s, "pw"s}, {"u"s, ""s}}) {
    CHECK(socks::login(user, password).error().code == Errc::malformed);
  }
  CHECK(socks::connect_request(longest, 25).value().size() == 4 + 1 + 255 + 2);
  CHECK(socks::connect_request(longest + "x", 25).error().code == Errc::malformed);
  CHECK(socks::connect_request("", 25).error().code == Errc::malformed);
}

TEST_CASE("what a SOCKS proxy says is read at every split, and nothing behind it is touched") {
  for (const std::string& behind : {""s, "220 odmr.example.net ESMTP\r\n"s}) {
    check_at_every_split(socks::parse_choice, "\x05\x00"s + behind, socks::Method::none, 2);
    check_at_every_split(socks::parse_choice, "\x05\x02"s + behind, socks::Method::password, 2);
    check_at_every_split(socks::parse_choice, "\x05\xff"s + behind, socks::Method::refused, 2);
    check_at_every_split(socks::parse_login_reply, "\x01\x00"s + behind, true, 2);
    check_at_every_split(socks::parse_login_reply, "\x01\x01"s + behind, false, 2);
    const std::uint8_t good = 0;
    check_at_every_split(socks::parse_connect_reply, "\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00"s + behind, good, 10);
    check_at_every_split(socks::parse_connect_reply, "\x05\x00\x00\x04"s + std::string(18, '\1') + behind, good, 22);
    check_at_every_split(socks::parse_connect_reply, "\x05\x00\x00\x03\x04host\x01\x6e"s + behind, good, 11);
    check_at_every_split(socks::parse_connect_reply, "\x05\x00\x00\x03\x00\x01\x6e"s + behind, good, 7);
  }
}

TEST_CASE("a refused connection is known by two octets, whatever follows") {
  for (const auto& bytes : {"\x05\x05"s, "\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"s}) {
    const auto reply = socks::parse_connect_reply(bytes);
    REQUIRE(reply);
    REQUIRE(*reply);
    CHECK((*reply)->value == 5);
    CHECK((*reply)->size == bytes.size());
  }
}

TEST_CASE("what is no SOCKS5 is told at its first octet") {
  CHECK(socks::parse_choice("HTTP/1.1 400").error().code == Errc::malformed);
  CHECK(socks::parse_choice("\x04").error().code == Errc::malformed);
  CHECK(socks::parse_login_reply("\x05\x00"s).error().code == Errc::malformed);
  CHECK(socks::parse_connect_reply("2").error().code == Errc::malformed);
  CHECK(socks::parse_connect_reply("\x05\x00\x00\x02\x00"s).error().code == Errc::malformed);
}

TEST_CASE("each reply of a SOCKS proxy has words of its own") {
  std::set<std::string> all;
  for (unsigned reply = 0; reply < 256; ++reply) all.insert(socks::in_words(static_cast<std::uint8_t>(reply)));
  CHECK(all.size() == 256);
  CHECK(socks::in_words(5) == "the proxy says that the host refused the connection");
  CHECK(socks::in_words(0xf0) == "Tor does not find the onion service");
  CHECK(socks::in_words(9) == "the proxy answers with the unknown code 9");
}
