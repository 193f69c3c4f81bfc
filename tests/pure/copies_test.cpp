#include "mail/copies.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace odmr;
using namespace odmr::mail;
using namespace std::string_literals;

namespace {

std::optional<std::string> identity(const std::string& header) {
  MailboxEnvelope envelope;
  envelope.found = MailboxEnvelope::Found::address_fields;
  return copy_identity(header, envelope);
}

const std::string k_letter =
    "Date: Sat, 31 Jan 2026 10:00:00 +0000\nFrom: Bob <bob@home.example>\nTo: anna@example.org, bert@example.org\n"
    "Subject: hello\nMessage-ID: <1@home.example>\nMIME-Version: 1.0\nContent-Type: text/plain\n";

}  // namespace

TEST_CASE("copies differ in what each delivery writes, and in nothing else", "[mailbox]") {
  const auto letter = identity(k_letter);
  REQUIRE(letter);
  CHECK(*letter ==
        "date:Sat, 31 Jan 2026 10:00:00 +0000\nfrom:Bob <bob@home.example>\nto:anna@example.org, bert@example.org\n"
        "subject:hello\nmessage-id:<1@home.example>\nmime-version:1.0\ncontent-type:text/plain\n"s);
  for (const auto& on_top :
       {"Return-Path: <b-1@home.example>\nX-Original-To: anna@example.org\nDelivered-To: box@hoster.example\n"s,
        "Received: by hoster.example for <bert@example.org>;\n\tx\n"s,
        "Envelope-To: x@example.org\nDelivery-Date: x\n"s,
        "X-Spam-Score: 2\nAuthentication-Results: x\nDKIM-Signature: x\nARC-Seal: i=1\nReceived-SPF: pass\n"s,
        "From bob@home.example Sat Jan 31 10:00:00 2026\nStatus: O\nX-UIDL: 4711\n"s}) {
    CAPTURE(on_top);
    CHECK(identity(on_top + k_letter) == letter);
  }
}

TEST_CASE("folds, blanks and line ends make no other message", "[mailbox]") {
  CHECK(identity("To: anna@example.org,\n\tbert@example.org\nMESSAGE-ID:<1@home.example>\n\n") ==
        identity("TO:anna@example.org,  bert@example.org  \r\nMessage-ID:\r\n <1@home.example>\r\n\r\nbody\r\n"));
}

TEST_CASE("two messages that differ where their author may differ are two", "[mailbox]") {
  const auto letter = identity(k_letter);
  for (const auto* more :
       {"Bcc: carl@example.org\n", "Resent-To: anna@example.org\n", "Resent-Message-ID: <2@home.example>\n",
        "List-Id: <talk.lists.example>\n", "Precedence: list\n", "Reply-To: x@home.example\n", "Subject: other\n",
        "In-Reply-To: <0@home.example>\n", "References: <0@home.example>\n", "Sender: x@home.example\n",
        "Content-Language: de\n", "Cc: dora@example.org\n", "Keywords: x\n", "Comments: x\n"}) {
    CAPTURE(more);
    CHECK(identity(k_letter + more) != letter);
  }
  // The same words in other fields, or in two instead of one.
  CHECK(identity("Message-ID: <1@x>\nTo: a\nCc: b\n") != identity("Message-ID: <1@x>\nTo: b\nCc: a\n"));
  CHECK(identity("Message-ID: <1@x>\nTo: a\nCc: b\n") != identity("Message-ID: <1@x>\nTo: a cc: b\n"));
  CHECK(identity("Message-ID: <1@x>\nSubject: a\n cc: b\n") != identity("Message-ID: <1@x>\nSubject: a\nCc: b\n"));
}

TEST_CASE("what must not be merged has no identity", "[mailbox]") {
  CHECK_FALSE(identity("To: anna@example.org\n"));
  CHECK_FALSE(identity("To: anna@example.org\nMessage-ID:\n \n"));
  CHECK_FALSE(identity(k_letter + "Message-Id: <2@home.example>\n"));
  CHECK_FALSE(identity(""));
  using Found = MailboxEnvelope::Found;
  for (const auto found : {Found::only, Found::envelope, Found::catch_all, Found::loop}) {
    MailboxEnvelope envelope;
    envelope.found = found;
    CHECK_FALSE(copy_identity(k_letter, envelope));
  }
}
