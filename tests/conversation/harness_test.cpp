#include <catch2/catch.hpp>

#include "catalogue.hpp"
#include "stage.hpp"

// The tests of the transcripts are worth something only if they can fail.

namespace odmr::conversation {

namespace {

Performance perform_text(const char* text, const Variation& variation = {}) {
  const auto transcripts = transcripts_from("harness", text);
  return perform(transcripts.at(0), variation);
}

}  // namespace

TEST_CASE("a transcript that is kept to has nothing to report") {
  const auto performance = perform_text(R"(== no mail
target
@target
@bye
provider
@login
C: ATRN customer.example
S: 453 nothing
C: QUIT
S: 221 bye
outcome no-mail
)");
  CHECK(performance.ended);
  CHECK(performance.mismatches.empty());
  CHECK(performance.ledger.violations.empty());
}

TEST_CASE("another line than the one that is due is reported") {
  const auto performance = perform_text(R"(== wrong line
target
@target
@bye
provider
@login
C: ATRN somebody.example
S: 453 nothing
outcome no-mail
)");
  CHECK_FALSE(performance.mismatches.empty());
}

TEST_CASE("another outcome, another count and a connection that is not made are reported") {
  const std::string session = R"(== wrong outcome
target
@target
@bye
provider
@login
C: ATRN customer.example
S: 453 nothing
C: QUIT
S: 221 bye
)";
  CHECK_FALSE(perform_text((session + "outcome fetched").c_str()).mismatches.empty());
  CHECK_FALSE(perform_text((session + "outcome no-mail messages=1").c_str()).mismatches.empty());
  CHECK_FALSE(perform_text((session + "provider\nS: 220 hello\noutcome no-mail").c_str()).mismatches.empty());
}

TEST_CASE("a promise that is broken is noticed") {
  Ledger ledger;
  Ledger::ProviderEnd provider(ledger);
  provider.heard("ATRN customer.example");
  provider.said("250 turning\r\n");
  provider.heard("220 us");
  for (const char* command : {"MAIL FROM:<a@b.example>", "RCPT TO:<c@customer.example>"}) {
    provider.said(std::string(command) + "\r\n");
    provider.heard("250 ok");
  }
  provider.said("DATA\r\n");
  provider.heard("354 go");

  SECTION("250 without a target that has the message") {
    provider.said("text\r\n.\r\n");
    provider.heard("250 taken");
    CHECK(ledger.violations.size() == 1);
  }
  SECTION("a message that the provider has not ended") {
    Ledger::TargetEnd target(ledger, false);
    provider.said("te");
    for (const char* command : {"MAIL FROM:<a@b.example>", "RCPT TO:<c@customer.example>", "DATA"}) {
      target.heard(command);
      target.said(std::string(command) == "DATA" ? "354 go\r\n" : "250 ok\r\n");
    }
    for (const char* line : {"Received: from x by y; now", "te", "."}) target.heard(line);
    CHECK(ledger.violations.size() == 1);
  }
  SECTION("a close inside the transaction") {
    provider.closed_by_us(false);
    CHECK(ledger.violations.size() == 1);
  }
}

}  // namespace odmr::conversation
