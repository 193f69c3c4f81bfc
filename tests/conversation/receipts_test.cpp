#include <algorithm>
#include <catch2/catch.hpp>

#include "catalogue.hpp"
#include "journal/journal.hpp"
#include "net/digest.hpp"
#include "net/simulation.hpp"
#include "stage.hpp"

// The receipt of a session has exactly what happened. (That it agrees with the report in every transcript, whatever
// fails, is transcripts_test.cpp's.)

namespace odmr::conversation {

namespace {

using By = journal::RecipientReceipt::By;
using Fate = journal::MessageReceipt::Fate;
using net::Task;

const char* const k_session = R"(
== all that can become of a message
settings target=lmtp
target
S: 220 target LMTP
C: LHLO mail.customer.example
S: 250-target
S: 250 PIPELINING
C: MAIL FROM:<sender@example.org>
S: 250 2.1.0 sender ok
C: RCPT TO:<bob@customer.example>
S: 250 2.1.5 recipient ok
C: RCPT TO:<carol@customer.example>
S: 550 5.1.1 no such user
C: DATA
S: 354 go on
CONTENT
S: 250 2.0.0 kept
C: MAIL FROM:<>
S: 250 2.1.0 sender ok
C: RCPT TO:<bob@customer.example>
S: 250 2.1.5 recipient ok
C: RCPT TO:<dave@customer.example>
S: 250 2.1.5 recipient ok
C: DATA
S: 354 go on
CONTENT
S: 250 2.0.0 kept
S: 452 4.2.2 over quota
C: MAIL FROM:<>
S: 250 2.1.0 sender ok
C: RCPT TO:<dave@customer.example>
S: 250 2.1.5 recipient ok
C: DATA
S: 354 go on
CONTENT
S: 250 2.0.0 kept
C: NOOP
S: 250 2.0.0 still here
C: QUIT
S: 221 bye
END
provider
@turned
S: MAIL FROM:<sender@example.org> SIZE=x
C+ 501
S: MAIL FROM:<sender@example.org>
C: 250 2.1.0 sender ok
S: RCPT TO:<bob@customer.example>
C: 250 2.1.5 recipient ok
S: RCPT TO:<carol@customer.example>
C: 550 5.1.1 no such user
S: RCPT TO:<a@other.example>
C+ 550 5.7.1
S: DATA
C+ 354
S: first
S: .
C: 250 2.0.0 kept
S: MAIL FROM:<>
C: 250 2.1.0 sender ok
S: RCPT TO:<bob@customer.example>
C: 250 2.1.5 recipient ok
S: RCPT TO:<dave@customer.example>
C: 250 2.1.5 recipient ok
S: DATA
C+ 354
S: second
S: .
C: 452 4.2.2 over quota
S: MAIL FROM:<>
C: 250 2.1.0 sender ok
S: RCPT TO:<bob@customer.example>
C+ 250
S: RCPT TO:<dave@customer.example>
C: 250 2.1.5 recipient ok
S: DATA
C+ 354
S: second
S: .
C: 250 2.0.0 kept
S: QUIT
C+ 221
END
provider refused
outcome deferred messages=3 recipients=3 rejected=1 connections=1
)";

std::string text_of(const journal::MessageReceipt& message) {
  std::string text = std::to_string(static_cast<int>(message.fate)) + " " + message.reverse_path;
  for (const auto& one : message.recipients) {
    text += "; " + one.address + " " + std::to_string(static_cast<int>(one.by)) + " " + one.reply;
  }
  return text + "; told " + message.reply;
}

journal::MessageReceipt refused(const std::string& id) {
  journal::MessageReceipt receipt;
  receipt.connection = "aa-1";
  receipt.id = id;
  receipt.fate = Fate::refused;
  receipt.add_refused(std::string(400, 'x') + "@other.example", By::guard, "550 5.7.1 " + std::string(400, 'x'));
  return receipt;
}

Task<> relieve(journal::Journal& journal) {
  co_await journal.relieve();
}

}  // namespace

TEST_CASE("receipts that nothing else takes along are written once they have become much", "[receipts]") {
  net::Simulation simulation;
  const auto disk = net::make_inline_worker();
  const auto journal = journal::Journal::in_memory(simulation.loop().get_executor(), *disk, simulation, silent_log());
  REQUIRE(journal);
  const auto written = [&] { return (*journal)->receipts().messages("aa-1", 0, 10000).value().size(); };
  std::size_t most_waiting = 0;
  for (std::size_t noted = 0; noted < 2000; ++noted) {
    REQUIRE(simulation.run(relieve(**journal)));
    (*journal)->note(refused("aa-1." + std::to_string(noted)));
    most_waiting = std::max(most_waiting, noted + 1 - written());
  }
  CHECK(most_waiting > 10);
  CHECK(most_waiting < 400);
}

TEST_CASE("the receipt of a session has exactly what happened", "[receipts]") {
  const auto transcripts = transcripts_from("receipts", k_session);
  REQUIRE(transcripts.size() == 1);
  const auto performance = perform(transcripts.front());
  CHECK(performance.mismatches == std::vector<std::string>());
  INFO(written_out(performance.dialogue));
  const auto& receipts = performance.receipts;
  REQUIRE(receipts.sessions.size() == 1);
  const auto& session = receipts.sessions.front();
  CHECK(session.id == performance.report.session);
  CHECK(session.provider == "isp");
  REQUIRE(session.end);
  CHECK(session.end->outcome == Outcome::deferred);
  CHECK(session.end->messages == 3);
  CHECK(session.end->rejected == 1);

  REQUIRE(receipts.connections.size() == 2);
  const auto& first = receipts.connections.front();
  CHECK(first.address == "192.0.2.1:366");
  CHECK(first.tls.empty());
  CHECK(first.verified.empty());
  CHECK(first.mechanism == "CRAM-MD5");
  CHECK(first.greeting == "220 odmr.example.net ESMTP");
  CHECK(first.reply == "250 2.0.0 turning round");
  CHECK(first.how == "QUIT");
  const auto& second = receipts.connections.back();
  CHECK(second.address.empty());
  CHECK(second.how.find("Connection refused") != std::string::npos);

  REQUIRE(receipts.messages.size() == 4);
  CHECK(text_of(receipts.messages[0]).starts_with("2 FROM:<sender@example.org> SIZE=x; told 501"));
  CHECK(text_of(receipts.messages[1])
            .starts_with("0 sender@example.org; carol@customer.example 0 550 5.1.1 no such user; "
                         "a@other.example 2 550 5.7.1"));
  CHECK(text_of(receipts.messages[1]).ends_with("bob@customer.example 0 250 2.0.0 kept; told 250 2.0.0 kept"));
  CHECK(receipts.messages[1].digest == net::sha256("first\r\n"));
  CHECK(receipts.messages[1].size == 7);
  CHECK(receipts.messages[1].id == performance.report.session + "-1.1");
  CHECK(text_of(receipts.messages[2]) ==
        "3 <>; bob@customer.example 0 250 2.0.0 kept; dave@customer.example 0 452 4.2.2 over quota; "
        "told 452 4.2.2 over quota");
  CHECK(text_of(receipts.messages[3]) ==
        "0 <>; bob@customer.example 1 ; dave@customer.example 0 250 2.0.0 kept; told 250 2.0.0 kept");
  CHECK(receipts.messages[3].digest == receipts.messages[2].digest);
}

TEST_CASE("the receipt tells how the provider was known", "[receipts]") {
  std::size_t seen = 0;
  for (const auto& transcript : all_transcripts()) {
    if (transcript.expectation.tls != "TLSv1.3") continue;
    ++seen;
    const auto performance = perform(transcript);
    INFO(transcript.name);
    REQUIRE_FALSE(performance.receipts.connections.empty());
    const auto& connection = performance.receipts.connections.front();
    CHECK(connection.tls.starts_with("TLSv1.3 TLS_"));
    CHECK(connection.verified == "chain");
  }
  CHECK(seen > 0);
}

namespace {

std::size_t count(const std::string& text, const std::string& words) {
  std::size_t found = 0;
  for (auto at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("a provider that tries names fills no disk", "[receipts]") {
  std::string text =
      "== many names\nsettings max_sessions=1\ntarget\n@target\nC: MAIL FROM:<sender@example.org>\n"
      "S: 250 2.1.0 sender ok\n@bye\nprovider\n@turned\nS: MAIL FROM:<sender@example.org>\nC+ 250\n";
  for (int i = 0; i < 60; ++i) text += "S: RCPT TO:<" + std::string(200, 'x') + "@other.example>\nC+ 550 5.7.1\n";
  text += "S: RSET\nC+ 250\n@quit\noutcome fetched rejected=1\n";
  const auto transcripts = transcripts_from("receipts", text);
  const auto performance = perform(transcripts.at(0));
  CHECK(performance.mismatches == std::vector<std::string>());
  REQUIRE(performance.receipts.messages.size() == 1);
  const auto& message = performance.receipts.messages.front();
  CHECK(message.recipients.size() == journal::MessageReceipt::k_most_refused);
  CHECK(message.unlisted == 60 - journal::MessageReceipt::k_most_refused);
  CHECK(message.fate == Fate::refused);
  CHECK(message.recipients.front().by == By::guard);
  CHECK(count(performance.log, "recipient refused") == journal::MessageReceipt::k_most_refused);
  CHECK(count(performance.log, "more recipients are refused, and counted only") == 1);
}

}  // namespace odmr::conversation
