#include "mail/received.hpp"

#include <catch2/catch.hpp>

#include "mail/header.hpp"

using namespace odmr;
using namespace odmr::mail;
using namespace std::string_literals;

namespace {

WallTime at(long seconds) {
  return WallTime(std::chrono::seconds(seconds));
}

Received usual() {
  return {"mx.isp.example",
          "192.0.2.1",
          "mail.example.org",
          "ESMTPS",
          "k3-1",
          "a@example.org",
          "TLSv1.3 TLS_AES_256_GCM_SHA384",
          at(1'769'853'600)};
}

// One field, ASCII, CRLF only, every further line folded and none too long.
void check_shape(const std::string& field) {
  CAPTURE(field);
  REQUIRE(field.ends_with("\r\n"));
  std::size_t begin = 0;
  while (begin < field.size()) {
    const std::size_t end = field.find("\r\n", begin);
    REQUIRE(end != std::string::npos);
    const std::string line = field.substr(begin, end - begin);
    CHECK(line.size() <= 998);
    CHECK((begin == 0 ? line.starts_with("Received: ") : line.starts_with("\t")));
    CHECK(line.find_last_not_of(" \t") != std::string::npos);
    for (const char c : begin == 0 ? line : line.substr(1)) CHECK((c >= ' ' && c <= '~'));
    begin = end + 2;
  }
  HeaderWatch watch;
  watch.see(field);
  CHECK(watch.hops() == 1);
  CHECK_FALSE(watch.is_over());
}

}  // namespace

TEST_CASE("Who has no address is told of in a comment") {
  Received received = usual();
  received.from_note = "uid 1000";
  CHECK(format(received).find("uid 1000") == std::string::npos);
  received.from_address.clear();
  CHECK(format(received).starts_with("Received: from mx.isp.example (uid 1000)\r\n"));
  received.from_note = "a) (b";
  CHECK(format(received).starts_with("Received: from mx.isp.example (a? ?b)\r\n"));
}

TEST_CASE("A Received field says who, to whom, how, for whom and when") {
  CHECK(format(usual()) ==
        "Received: from mx.isp.example ([192.0.2.1])\r\n"
        "\tby mail.example.org with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        "\tid k3-1\r\n"
        "\tfor <a@example.org>;\r\n"
        "\tSat, 31 Jan 2026 10:00:00 +0000\r\n");
  check_shape(format(usual()));
}

TEST_CASE("What is not known is left out, and the rest still follows the grammar") {
  Received received = usual();
  received.tls.clear();
  received.for_mailbox.clear();
  received.id.clear();
  received.from_address.clear();
  received.from_name.clear();
  CHECK(format(received) ==
        "Received: from localhost\r\n\tby mail.example.org with ESMTPS;\r\n\tSat, 31 Jan 2026 10:00:00 +0000\r\n");
}

TEST_CASE("An IPv6 address is tagged, and its interface is nobody's business") {
  Received received = usual();
  received.from_address = "2001:db8::1";
  CHECK(format(received).starts_with("Received: from mx.isp.example ([IPv6:2001:db8::1])\r\n"));
  received.from_address = "fe80::1%eth0";
  CHECK(format(received).starts_with("Received: from mx.isp.example ([IPv6:fe80::1])\r\n"));
  received.from_name = "[IPv6:2001:db8::2]";
  CHECK(format(received).starts_with("Received: from [IPv6:2001:db8::2] ([IPv6:fe80::1])\r\n"));
}

TEST_CASE("A hostile EHLO name never reaches the header") {
  for (const std::string& name :
       {"x\r\nBcc: everyone@example.org"s, "x (by trusted.example)"s, "x;"s, "a b"s, "x\0y"s, "\x1b[2J"s, "ü.example"s,
        "<script>"s, "[1.2.3.4] by evil"s, "my_pc"s, ""s, std::string(5000, 'a'), "a."s + std::string(998, 'a')}) {
    Received received = usual();
    received.from_name = name;
    const std::string field = format(received);
    CHECK(field.starts_with("Received: from [192.0.2.1] ([192.0.2.1])\r\n"));
    check_shape(field);
  }
}

TEST_CASE("Nothing in any other member breaks the field either") {
  for (const std::string& evil : {"x\r\nBcc: e@x"s, "a) (b\\"s, "\0"s, "ü"s, " "s, "a b"s, std::string(5000, 'x'),
                                  std::string(5000, '('), "a@b>; x <c@d"s}) {
    Received received = usual();
    received.from_address = received.by = received.with = received.id = received.for_mailbox = received.tls = evil;
    check_shape(format(received));
    CHECK(format(received).find("Bcc: e@x\r\n") == std::string::npos);
  }
}

TEST_CASE("A comment ends where we end it") {
  Received received = usual();
  received.tls = "TLSv1.3) (x\\";
  CHECK(format(received).find(" with ESMTPS (TLSv1.3? ?x?)\r\n") != std::string::npos);
}

TEST_CASE("FOR names an ASCII mailbox only, quoted ones included") {
  Received received = usual();
  received.for_mailbox = "\"a b\"@example.org";
  CHECK(format(received).find("\tfor <\"a b\"@example.org>;") != std::string::npos);
  for (const char* mailbox : {"ü@example.org", "a@bücher.example", "a", "<a@b>", "a@b c@d", ""}) {
    received.for_mailbox = mailbox;
    CHECK(format(received).find("\tfor ") == std::string::npos);
  }
}

TEST_CASE("Even the longest names keep every line in bounds") {
  Received received = usual();
  std::string longest = "a";
  while (longest.size() < 255) longest += ".a";
  received.from_name = received.by = longest;
  received.id = std::string(200, 'i');
  received.tls = std::string(1000, 't');
  received.for_mailbox = std::string(252, 'a') + "@b";
  const std::string field = format(received);
  check_shape(field);
  CHECK(field.find(longest) != std::string::npos);
}

TEST_CASE("Dates are those of RFC 5322, in UTC and with an explicit offset") {
  CHECK(date_time(at(0)) == "Thu, 01 Jan 1970 00:00:00 +0000");
  CHECK(date_time(at(1'769'853'600)) == "Sat, 31 Jan 2026 10:00:00 +0000");
  CHECK(date_time(at(1'709'251'199)) == "Thu, 29 Feb 2024 23:59:59 +0000");
  CHECK(date_time(at(1'709'251'200)) == "Fri, 01 Mar 2024 00:00:00 +0000");
  CHECK(date_time(at(4'102'444'800)) == "Fri, 01 Jan 2100 00:00:00 +0000");
  CHECK(date_time(at(-1)) == "Wed, 31 Dec 1969 23:59:59 +0000");
  CHECK(date_time(at(0) + std::chrono::milliseconds(999)) == "Thu, 01 Jan 1970 00:00:00 +0000");
}
