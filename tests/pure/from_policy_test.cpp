#include "mail/from_policy.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "mail/fields.hpp"

using namespace odmr::mail;
using namespace std::string_literals;

namespace {

constexpr const char* k_system = "system@example.org";

struct Case {
  std::string header, expected;
};

void check_all(const std::vector<Case>& cases) {
  for (const auto& [header, expected] : cases) {
    CAPTURE(header);
    CHECK(with_from(header, k_system) == expected);
    CHECK(with_from(expected, k_system) == expected);
  }
}

}  // namespace

TEST_CASE("From gets the address and keeps its name; the former From is where replies go") {
  check_all({
      {"From: Anna <anna@home.example>\r\n",
       "From: Anna <system@example.org>\r\nReply-To: Anna <anna@home.example>\r\n"},
      {"From: anna@home.example\r\n", "From: system@example.org\r\nReply-To: anna@home.example\r\n"},
      {"From: <anna@home.example>\r\n", "From: <system@example.org>\r\nReply-To: <anna@home.example>\r\n"},
      {"From:anna@home.example", "From:system@example.org\r\nReply-To:anna@home.example\r\n"},
      {"from : anna@home.example (Anna)\r\n",
       "from : system@example.org (Anna)\r\nReply-To: anna@home.example (Anna)\r\n"},
      {"From: =?utf-8?q?M=C3=BCller=2C?= A. <anna@home.example>\r\n",
       "From: =?utf-8?q?M=C3=BCller=2C?= A. <system@example.org>\r\n"
       "Reply-To: =?utf-8?q?M=C3=BCller=2C?= A. <anna@home.example>\r\n"},
      {"From: \"Doe, Anna <x@y>\" (a, b <c@d>) <anna@home.example> (at home)\r\n",
       "From: \"Doe, Anna <x@y>\" (a, b <c@d>) <system@example.org> (at home)\r\n"
       "Reply-To: \"Doe, Anna <x@y>\" (a, b <c@d>) <anna@home.example> (at home)\r\n"},
      {"From: Anna\r\n Müller\r\n\t<anna@home.example>\r\nX: y\r\n",
       "From: Anna\r\n Müller\r\n\t<system@example.org>\r\nReply-To: Anna\r\n Müller\r\n\t<anna@home.example>\r\nX: "
       "y\r\n"},
      {"From: \"a>b\"@home.example\r\n", "From: system@example.org\r\nReply-To: \"a>b\"@home.example\r\n"},
      {"From: A <\"a>,b\"@home.example>\r\n",
       "From: A <system@example.org>\r\nReply-To: A <\"a>,b\"@home.example>\r\n"},
      {"From: a@[192.0.2.1]\r\n", "From: system@example.org\r\nReply-To: a@[192.0.2.1]\r\n"},
  });
}

TEST_CASE("Sender goes, a Reply-To that is there stays, and so does every other byte") {
  check_all({
      {"Received: x\r\n\ty\r\nSender: <s@home.example>\r\nFrom: a@b.example\r\nsender: again\r\n z\r\nX-Odd:  "
       "\xff\t\r\n",
       "Received: x\r\n\ty\r\nFrom: system@example.org\r\nReply-To: a@b.example\r\nX-Odd:  \xff\t\r\n"},
      {"Reply-To: list@b.example\r\nFrom: a@b.example\r\n", "Reply-To: list@b.example\r\nFrom: system@example.org\r\n"},
      {"From: a@b.example\r\nX-From: a@b.example\r\nResent-From: c@d.example\r\nResent-Sender: e@d.example\r\n",
       "From: system@example.org\r\nReply-To: a@b.example\r\nX-From: a@b.example\r\nResent-From: "
       "c@d.example\r\nResent-Sender: e@d.example\r\n"},
      {"From: a@b.example\r\nno field\r\nFrom: c@d.example\r\n",
       "From: system@example.org\r\nReply-To: a@b.example\r\nno field\r\nFrom: c@d.example\r\n"},
  });
}

TEST_CASE("A From that has the address already stays as it is") {
  for (const std::string& header : {"From: Anna <system@example.org>\r\n"s, "From: system@EXAMPLE.org (x)\r\n"s,
                                    "From:system@example.org\n"s, "From: \"x\" <system@example.org>"s}) {
    CAPTURE(header);
    CHECK(with_from(header, k_system) == header);
  }
  check_all({{"Sender: x\r\nFrom: system@example.org\r\n", "From: system@example.org\r\n"},
             {"From: SYSTEM@example.org\r\n", "From: system@example.org\r\nReply-To: SYSTEM@example.org\r\n"}});
}

TEST_CASE("A missing From is added at the end, before what is no header any more") {
  check_all({
      {"", "From: system@example.org\r\n"},
      {"Subject: x\r\n", "Subject: x\r\nFrom: system@example.org\r\n"},
      {"Subject: x", "Subject: x\r\nFrom: system@example.org\r\n"},
      {"Subject: x\r\nno field\r\n", "Subject: x\r\nFrom: system@example.org\r\nno field\r\n"},
      {" no header at all\r\n", " no header at all\r\n"},
  });
}

TEST_CASE("Several authors become one, and replies go to all of them") {
  check_all({
      {"From: Anna <a@b.example>, c@d.example\r\n",
       "From: Anna <system@example.org>\r\nReply-To: Anna <a@b.example>, c@d.example\r\n"},
      {"From: a@b.example\r\nFrom: Carl <c@d.example>\r\n",
       "From: system@example.org\r\nReply-To: a@b.example,\r\n Carl <c@d.example>\r\n"},
      // A fold right behind the colon must not become an empty line.
      {"From:a@b.example\r\nFrom:\r\n c@d.example\r\nFrom:e@f.example\r\n",
       "From:system@example.org\r\nReply-To:a@b.example,\r\n c@d.example,\r\n e@f.example\r\n"},
      {"From: Family: Anna <a@b.example>, c@d.example;\r\n",
       "From: Anna <system@example.org>\r\nReply-To: Family: Anna <a@b.example>, c@d.example;\r\n"},
      {"From: nobody:;\r\n", "From: system@example.org\r\n"},
  });
}

TEST_CASE("What breaks the grammar comes out in order") {
  check_all({
      {"From: Doe, Anna <a@b.example>\r\n",
       "From: \"Doe, Anna\" <system@example.org>\r\nReply-To: \"Doe, Anna\" <a@b.example>\r\n"},
      {"From: a@b.example <a@b.example>\r\n",
       "From: \"a@b.example\" <system@example.org>\r\nReply-To: \"a@b.example\" <a@b.example>\r\n"},
      {"From: [List] \"x\" <a@b.example>\r\n",
       "From: \"[List] \\\"x\\\"\" <system@example.org>\r\nReply-To: \"[List] \\\"x\\\"\" <a@b.example>\r\n"},
      {"From: root (Cron Daemon)\r\n", "From: system@example.org (Cron Daemon)\r\n"},
      {"From: Cron Daemon\r\n", "From: Cron Daemon <system@example.org>\r\n"},
      {"From:\r\n", "From: system@example.org\r\n"},
      {"From: <>\r\n", "From: <system@example.org>\r\n"},
      {"From: A <a@b.example> <c@d.example>\r\n", "From: A <system@example.org>\r\nReply-To: A <a@b.example>\r\n"},
      {"From: Anna <a@b.example\r\n", "From: system@example.org\r\n"},
      {"From: \"Anna <a@b.example>\r\n", "From: system@example.org\r\n"},
      {"From: (Anna <a@b.example>\r\n", "From: system@example.org\r\n"},
  });
}

TEST_CASE("Whatever a header holds, From is one address, twice is once, and no other field changes") {
  std::mt19937 chance(20260131);  // NOLINT: the same every time
  const std::vector<std::string> bits{"From:",    "Sender:",     "Reply-To:", "X-A:",  " ",
                                      "\r\n",     "\r\n ",       "\n",        "\t",    "<",
                                      ">",        "(",           ")",         "\"",    "\\",
                                      ",",        ";",           ":",         "[",     "]",
                                      "@",        "a@b.example", "Anna",      ".",     "=?utf-8?q?=C3=BC?=",
                                      "\xc3\xbc", "\xff",        "\0"s,       k_system};
  const auto others = [](const std::string& header) {
    std::string out;
    FieldReader reader(header);
    for (auto field = reader.next(); field; field = reader.next()) {
      if (!field->is("From") && !field->is("Sender") && !field->is("Reply-To")) out += field->raw;
    }
    return out;
  };
  for (int round = 0; round < 50'000; ++round) {
    std::string header = "From:";
    for (auto left = chance() % 24; left > 0; --left) header += bits[chance() % bits.size()];
    header += "\r\n";
    CAPTURE(header);
    const auto once = with_from(header, k_system);
    REQUIRE(with_from(once, k_system) == once);
    REQUIRE(others(once) == others(header));
    const auto from = find_field(once, "From");
    REQUIRE(from);
    REQUIRE(from->body.find(k_system) != std::string::npos);
    REQUIRE_FALSE(find_field(once, "Sender"));
    FieldReader after(once);
    while (after.next()) {
    }
    FieldReader before(header);
    while (before.next()) {
    }
    REQUIRE(after.rest() == before.rest());  // the header ends where it did
  }
}
