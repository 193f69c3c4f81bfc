#include <catch2/catch.hpp>

#include "net/digest.hpp"
#include "pop3/answer.hpp"

using namespace odmr;

TEST_CASE("the first line of a POP3 answer", "[pop3]") {
  const auto ok = pop3::parse_status("+OK 2 messages");
  REQUIRE(ok);
  CHECK(ok->is_ok());
  CHECK(ok->text == "2 messages");
  const auto busy = pop3::parse_status("-ERR [IN-USE] somebody reads");
  REQUIRE(busy);
  CHECK(busy->kind == pop3::Status::Kind::error);
  CHECK(busy->code == "IN-USE");
  CHECK(busy->is_temporary());
  CHECK(pop3::parse_status("-ERR [SYS/TEMP] later")->is_temporary());
  CHECK_FALSE(pop3::parse_status("-ERR [AUTH] no")->is_temporary());
  CHECK_FALSE(pop3::parse_status("-ERR in-use")->is_temporary());
  CHECK(pop3::parse_status("+ cGFzcw==")->kind == pop3::Status::Kind::challenge);
  CHECK(pop3::parse_status("+")->text.empty());
  for (const char* line : {"", "+OKAY", "OK", "220 smtp", "* OK imap", "-ERROR"}) CHECK_FALSE(pop3::parse_status(line));
}

TEST_CASE("APOP's timestamp, and its digest", "[pop3]") {
  // RFC 1939 7.
  const auto stamp = pop3::timestamp_in("POP3 server ready <1896.697170952@dbc.mtview.ca.us>");
  CHECK(stamp == "<1896.697170952@dbc.mtview.ca.us>");
  CHECK(net::hex(net::md5(stamp + "tanstaaf")) == "c4c9334bac560ecc979e58001b3e22fb");
  for (const char* greeting : {"", "ready", "<ready>", "<a@b", "a@b>", "<a b@c>"})
    CHECK(pop3::timestamp_in(greeting).empty());
}

TEST_CASE("lines of LIST and UIDL", "[pop3]") {
  const auto listed = pop3::parse_listed("12 3456");
  REQUIRE(listed);
  CHECK((listed->number == 12 && listed->size == 3456));
  CHECK(pop3::parse_listed("1 2 more"));
  for (const char* line : {"", "1", "0 5", "x 1", "1 x", "-1 5", "4294967296 1", "1 99999999999999999999"})
    CHECK_FALSE(pop3::parse_listed(line));
  const auto named = pop3::parse_named("7 QhdPYR:00WBw1Ph7x7");
  REQUIRE(named);
  CHECK((named->number == 7 && named->uid == "QhdPYR:00WBw1Ph7x7"));
  CHECK(pop3::parse_named("1 " + std::string(255, 'u')));
  const std::string too_long = "1 " + std::string(256, 'u');
  for (const std::string& line : {std::string(), std::string("1"), std::string("0 u"), std::string("1 \x80"), too_long})
    CHECK_FALSE(pop3::parse_named(line));
}

TEST_CASE("what a POP3 server can", "[pop3]") {
  pop3::Capabilities can;
  for (const char* line : {"TOP", "sasl PLAIN  CRAM-MD5", "PIPELINING", "EXPIRE 60"}) can.add(line);
  CHECK(can.has("pipelining"));
  CHECK(can.has("EXPIRE"));
  CHECK_FALSE(can.has("STLS"));
  CHECK(can.mechanisms() == std::vector<std::string>{"PLAIN", "CRAM-MD5"});
  for (int i = 0; i < 100000; ++i) can.add("X");
  CHECK(can.text().size() < 1000);
}
