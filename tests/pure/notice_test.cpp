#include "mail/notice.hpp"

#include <catch2/catch.hpp>

#include "base/ascii.hpp"
#include "mail/fields.hpp"

using namespace odmr;
using namespace odmr::mail;
using namespace std::string_literals;

namespace {

WallTime at(long seconds) {
  return WallTime(std::chrono::seconds(seconds));
}

DeliveryStatus usual() {
  DeliveryStatus status;
  status.hostname = "mail.example.org";
  status.addressee = "anna@example.org";
  status.arrival = at(1'769'853'600);
  status.now = at(1'769'857'200);
  status.message_id = "k3.5d41402abc4b2a76b9719d911017c592";
  status.recipients.push_back({"bob@example.net", "", "550 5.1.1 <bob@example.net>: no such user here", ""});
  return status;
}

DeliveryStatus delayed() {
  auto status = usual();
  status.action = DeliveryStatus::Action::delayed;
  status.until = at(1'770'285'600);
  status.recipients.front().reply = "451 4.3.0 try later";
  return status;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// CRLF line ends only, no line too long, nothing but ASCII unless it says so.
void check_shape(const NoticeFrame& frame) {
  const std::string text = frame.before + "Subject: x\r\n" + frame.after;
  CAPTURE(text);
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = text.find("\r\n", begin);
    REQUIRE(end != std::string::npos);
    const auto line = text.substr(begin, end - begin);
    CHECK(line.size() <= 998);
    for (const char c : line) CHECK_FALSE(is_control(c));
    begin = end + 2;
  }
  if (!frame.needs_8bit) CHECK(is_ascii(text));
  CHECK(is_utf8(text));
}

// The parts' contents, by the boundary.
std::vector<std::string> parts_of(const NoticeFrame& frame) {
  const auto header_end = frame.before.find("\r\n\r\n");
  const auto type = find_field(frame.before, "Content-Type");
  REQUIRE(type);
  const auto value = type->value();
  const auto quote = value.find("boundary=\"") + 10;
  const std::string delimiter = "\r\n--" + value.substr(quote, value.find('"', quote) - quote);
  std::string rest = frame.before.substr(header_end + 2) + frame.after;
  std::vector<std::string> parts;
  for (auto place = rest.find(delimiter); place != std::string::npos; place = rest.find(delimiter)) {
    parts.push_back(rest.substr(0, place));
    rest = rest.substr(place + delimiter.size());
  }
  CHECK(rest == "--\r\n");
  return parts;
}

}  // namespace

TEST_CASE("A notice of failure, to the byte") {
  auto status = usual();
  status.envelope_id = "QQ+2B314159";
  status.recipients.front().original = "rfc822;Bob+2BX@example.net";
  status.recipients.front().remote_host = "mx.example.net";
  const auto frame = mail::frame(status, false, false);
  CHECK(frame.before ==
        "Date: Sat, 31 Jan 2026 11:00:00 +0000\r\n"
        "From: Mail delivery <MAILER-DAEMON@mail.example.org>\r\n"
        "To: <anna@example.org>\r\n"
        "Subject: Your message could not be delivered\r\n"
        "Message-ID: <k3.5d41402abc4b2a76b9719d911017c592@mail.example.org>\r\n"
        "Auto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=delivery-status;\r\n"
        " boundary=\"=_k3.5d41402abc4b2a76b9719d911017c592\"\r\n"
        "\r\n"
        "This is a message in MIME format: a notification, a report, the original.\r\n"
        "\r\n"
        "--=_k3.5d41402abc4b2a76b9719d911017c592\r\n"
        "Content-Description: Notification\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n"
        "\r\n"
        "This is the mail system at mail.example.org.\r\n"
        "\r\n"
        "Your message of Sat, 31 Jan 2026 10:00:00 +0000\r\n"
        "could not be delivered to:\r\n"
        "\r\n"
        "    <bob@example.net>\r\n"
        "        The answer of mx.example.net was: 550 5.1.1 <bob@example.net>: no such\r\n"
        "        user here\r\n"
        "\r\n"
        "It will not be tried again. Where an address is wrong, please correct it and\r\n"
        "send the message once more; where the answer says something else, it may help\r\n"
        "those who look after the recipient's mail, or yours.\r\n"
        "\r\n"
        "Below are a report for programs and the header of your message.\r\n"
        "\r\n"
        "--=_k3.5d41402abc4b2a76b9719d911017c592\r\n"
        "Content-Description: Delivery report\r\n"
        "Content-Type: message/delivery-status\r\n"
        "\r\n"
        "Original-Envelope-Id: QQ+314159\r\n"
        "Reporting-MTA: dns; mail.example.org\r\n"
        "Arrival-Date: Sat, 31 Jan 2026 10:00:00 +0000\r\n"
        "\r\n"
        "Original-Recipient: rfc822; Bob+X@example.net\r\n"
        "Final-Recipient: rfc822; bob@example.net\r\n"
        "Action: failed\r\n"
        "Status: 5.1.1\r\n"
        "Remote-MTA: dns; mx.example.net\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 <bob@example.net>: no such user here\r\n"
        "\r\n"
        "--=_k3.5d41402abc4b2a76b9719d911017c592\r\n"
        "Content-Description: The header of your message\r\n"
        "Content-Type: text/rfc822-headers\r\n"
        "\r\n");
  CHECK(frame.after == "\r\n--=_k3.5d41402abc4b2a76b9719d911017c592--\r\n");
  CHECK_FALSE(frame.needs_8bit);
  CHECK_FALSE(frame.needs_smtputf8);
  CHECK_FALSE(frame.whole_message);
  check_shape(frame);
}

TEST_CASE("A notice of delay says that nothing is to be done, and until when we try") {
  const auto frame = mail::frame(delayed(), false, false);
  CHECK(contains(frame.before, "Subject: Your message is delayed; you need not do anything\r\n"));
  const auto parts = parts_of(frame);
  REQUIRE(parts.size() == 4);
  CHECK(parts[1] ==
        "\r\nContent-Description: Notification\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n"
        "\r\n"
        "This is the mail system at mail.example.org.\r\n"
        "\r\n"
        "Your message of Sat, 31 Jan 2026 10:00:00 +0000\r\n"
        "has not been delivered yet to:\r\n"
        "\r\n"
        "    <bob@example.net>\r\n"
        "        The last answer was: 451 4.3.0 try later\r\n"
        "\r\n"
        "You need not do anything. It will be tried until\r\n"
        "Thu, 05 Feb 2026 10:00:00 +0000, and if it cannot be delivered by then you\r\n"
        "will be told.\r\n"
        "\r\n"
        "Below are a report for programs and the header of your message.\r\n");
  CHECK(parts[2] ==
        "\r\nContent-Description: Delivery report\r\n"
        "Content-Type: message/delivery-status\r\n"
        "\r\n"
        "Reporting-MTA: dns; mail.example.org\r\n"
        "Arrival-Date: Sat, 31 Jan 2026 10:00:00 +0000\r\n"
        "\r\n"
        "Final-Recipient: rfc822; bob@example.net\r\n"
        "Action: delayed\r\n"
        "Status: 4.3.0\r\n"
        "Diagnostic-Code: smtp; 451 4.3.0 try later\r\n"
        "Will-Retry-Until: Thu, 05 Feb 2026 10:00:00 +0000\r\n");
  check_shape(frame);
}

TEST_CASE("Status comes from the reply, and fits the action") {
  struct Case {
    std::string reply;
    DeliveryStatus::Action action;
    std::string status, diagnostic;
  };
  constexpr auto failed = DeliveryStatus::Action::failed;
  constexpr auto waits = DeliveryStatus::Action::delayed;
  for (const auto& [reply, action, expected, diagnostic] : std::vector<Case>{
           {"550 5.7.26 no", failed, "5.7.26", "smtp; 550 5.7.26 no"},
           {"550 no", failed, "5.0.0", "smtp; 550 no"},
           {"550", failed, "5.0.0", "smtp; 550"},
           {"452 4.2.2 full", failed, "4.2.2", "smtp; 452 4.2.2 full"},  // the time for trying is over
           {"452 full", failed, "4.0.0", "smtp; 452 full"},
           {"550 4.2.2 mixed up", failed, "5.0.0", "smtp; 550 4.2.2 mixed up"},
           {"554 5.3.0 greeting", waits, "4.3.0", "smtp; 554 5.3.0 greeting"},
           {"no route", waits, "4.0.0", "x-odmr; no route"},
           {"too old", failed, "5.0.0", "x-odmr; too old"},
           {"5500 5.1.1 x", failed, "5.0.0", "x-odmr; 5500 5.1.1 x"},
           {"250 2.0.0 ok", failed, "5.0.0", "x-odmr; 250 2.0.0 ok"},
       }) {
    CAPTURE(reply);
    auto status = usual();
    status.action = action;
    status.recipients.front().reply = reply;
    const auto frame = mail::frame(status, false, false);
    CHECK(contains(frame.before, "\r\nStatus: " + expected + "\r\n"));
    CHECK(contains(frame.before, "\r\nDiagnostic-Code: " + diagnostic + "\r\n"));
  }
  auto status = usual();
  status.recipients.front().reply.clear();
  CHECK_FALSE(contains(frame(status, false, false).before, "Diagnostic-Code"));
  CHECK_FALSE(contains(frame(status, false, false).before, "answer was"));
  status.recipients.front().reply = "452 4.2.2 full";
  CHECK(contains(frame(status, false, false).before,
                 "        The time for trying is over. The last answer was: 452 4.2.2 full\r\n"));
}

TEST_CASE("The third part is the header or the whole, in the type that its bytes need") {
  struct Case {
    bool whole, is_8bit, utf8_header, internationalized;
    std::string type;
    bool stays_whole, needs_8bit;
  };
  for (const auto& [whole, is_8bit, utf8_header, internationalized, type, stays_whole, needs_8bit] : std::vector<Case>{
           {false, false, false, true, "text/rfc822-headers", false, false},
           {true, false, false, true, "message/rfc822", true, false},
           {false, true, false, true, "text/rfc822-headers", false, true},
           {true, true, false, true, "message/rfc822", true, true},
           {false, true, true, true, "message/global-headers", false, true},
           {true, true, true, true, "message/global", true, true},
           {true, true, true, false, "text/rfc822-headers", false, true},
           {true, true, false, false, "message/rfc822", true, true},
       }) {
    CAPTURE(type, whole, is_8bit, utf8_header, internationalized);
    auto status = usual();
    status.whole_message = whole;
    status.internationalized = internationalized;
    const auto frame = mail::frame(status, is_8bit, utf8_header);
    const auto parts = parts_of(frame);
    REQUIRE(parts.size() == 4);
    CHECK(parts[3] == "\r\nContent-Description: "s + (stays_whole ? "Your message" : "The header of your message") +
                          "\r\nContent-Type: " + type + "\r\n" +
                          (needs_8bit ? "Content-Transfer-Encoding: 8bit\r\n\r\n" : "\r\n"));
    CHECK(frame.whole_message == stays_whole);
    CHECK(frame.needs_8bit == needs_8bit);
    CHECK_FALSE(frame.needs_smtputf8);
    const auto encoding = find_field(frame.before, "Content-Transfer-Encoding");
    CHECK(encoding.has_value() == needs_8bit);
    CHECK(contains(parts[1], stays_whole ? "and your message.\r\n" : "and the header of your message.\r\n"));
  }
}

TEST_CASE("Addresses outside ASCII travel as RFC 6533 has them, or in its 7-bit form") {
  auto status = usual();
  status.recipients.front() = {"bücher+x@example.net", "utf-8;b\\x{FC}cher\\x{2B}x@example.net", "550 5.1.1 böse", ""};
  const auto frame = mail::frame(status, false, false);
  CHECK(contains(frame.before, "\r\nContent-Type: message/global-delivery-status\r\n"));
  CHECK(contains(frame.before, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"));
  CHECK(contains(frame.before, "\r\nOriginal-Recipient: utf-8; bücher+x@example.net\r\n"));
  CHECK(contains(frame.before, "\r\nFinal-Recipient: utf-8; bücher+x@example.net\r\n"));
  CHECK(contains(frame.before, "\r\nDiagnostic-Code: smtp; 550 5.1.1 b??se\r\n"));
  CHECK(frame.needs_8bit);
  CHECK_FALSE(frame.needs_smtputf8);
  check_shape(frame);

  status.internationalized = false;
  const auto safe = mail::frame(status, false, false);
  CHECK(contains(safe.before, "\r\nContent-Type: message/delivery-status\r\n"));
  CHECK(contains(safe.before, "\r\n    <b\\x{FC}cher\\x{2B}x@example.net>\r\n"));
  CHECK(contains(safe.before, "\r\nOriginal-Recipient: utf-8; b\\x{FC}cher\\x{2B}x@example.net\r\n"));
  CHECK(contains(safe.before, "\r\nFinal-Recipient: utf-8; b\\x{FC}cher\\x{2B}x@example.net\r\n"));
  CHECK_FALSE(safe.needs_8bit);
  CHECK_FALSE(safe.needs_smtputf8);
  check_shape(safe);
}

TEST_CASE("Only an addressee outside ASCII needs SMTPUTF8") {
  auto status = usual();
  status.addressee = "jürgen@example.org";
  const auto frame = mail::frame(status, false, false);
  CHECK(frame.needs_smtputf8);
  CHECK(contains(frame.before, "\r\nTo: <jürgen@example.org>\r\n"));
  check_shape(frame);
}

TEST_CASE("Quoted addresses stay what they are") {
  auto status = usual();
  status.addressee = "\"a  b\"@example.org";
  status.recipients.front().address = "\"x  <y>, \\\"z\"@example.net";
  const auto frame = mail::frame(status, false, false);
  CHECK(contains(frame.before, "\r\nTo: <\"a  b\"@example.org>\r\n"));
  CHECK(contains(frame.before, "\r\nFinal-Recipient: rfc822; \"x  <y>, \\\"z\"@example.net\r\n"));
}

TEST_CASE("Nothing that a stranger says breaks out of its line") {
  std::string all_bytes;
  for (int c = 0; c < 256; ++c) all_bytes += static_cast<char>(c);
  const std::vector<std::string> hostile{
      "550 x\r\nBcc: everyone@example.org\r\n\r\nbody",
      "550-a\r\n550 b",
      "550 \r\n--=_k3.5d41402abc4b2a76b9719d911017c592--\r\n",
      "550 a\0b"s,
      "550 \x1b[2J\x7f",
      all_bytes,
      std::string(10'000, 'x'),
      "550 5.1.1 " + std::string(10'000, ' ') + "x",
      "550 " + std::string(10'000, '\n'),
      std::string(10'000, '\xff'),
      std::string(799, 'x') + "ü",
      "+0D+0ABcc: x@example.org",
      "utf-8;" +
          [] {
            std::string many;
            for (int i = 0; i < 400; ++i) many += "\\x{10FFFF}";
            return many;
          }(),
      "utf-8;\\x{D}\\x{0D}\\x{0A}Bcc: x\\x{D800}\\x{FFFFFFFF}\\x{}\\x{",
      "rfc822;a+0D+0ABcc:+20x",
      "a;b;c",
      ";",
      "",
  };
  for (const auto& words : hostile) {
    for (const bool internationalized : {true, false}) {
      DeliveryStatus status = usual();
      status.internationalized = internationalized;
      status.hostname = status.addressee = status.envelope_id = words;
      status.recipients = {{words, words, words, words}, {"ü@example.net", "utf-8;" + words, words, words}};
      const auto frame = mail::frame(status, false, false);
      check_shape(frame);
      CHECK_FALSE(contains(frame.before, "\r\nBcc:"));
      CHECK(parts_of(frame).size() == 4);
      CHECK(frame.before.size() < 20'000);
    }
  }
}

TEST_CASE("A boundary and a Message-ID are made of what may stand there") {
  auto status = usual();
  status.message_id = "a\"b\r\nc d/e." + std::string(300, 'f') + ".";
  check_shape(frame(status, false, false));
  CHECK(parts_of(frame(status, false, false)).size() == 4);
  status.message_id = "a.";
  CHECK(contains(frame(status, false, false).before, "boundary=\"=_a.-\"\r\n"));
}

TEST_CASE("People read of fifty recipients, programs of all") {
  auto status = usual();
  status.recipients.assign(1000, status.recipients.front());
  const auto parts = parts_of(frame(status, false, false));
  CHECK(contains(parts[1], "    and 950 more; the report below names them all.\r\n"));
  std::size_t named = 0;
  for (auto at = parts[2].find("Final-Recipient"); at != std::string::npos;
       at = parts[2].find("Final-Recipient", at + 1))
    ++named;
  CHECK(named == 1000);
}

TEST_CASE("xtext is decoded, and what is none stays") {
  CHECK(decode_xtext("a+2Bb+3d+20") == "a+b= ");
  CHECK(decode_xtext("+2") == "+2");
  CHECK(decode_xtext("+GG+") == "+GG+");
  CHECK(decode_xtext("") == "");
}
