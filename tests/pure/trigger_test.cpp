// What a server says to ETRN (RFC 1985 5.3), as outcomes, causes and words.

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "trigger/etrn.hpp"

using namespace odmr;

TEST_CASE("each reply to ETRN has its outcome, its cause and its words", "[etrn]") {
  struct Row {
    int code;
    Outcome outcome;
    Cause cause;
    std::string words;
  };
  const std::vector<Row> rows = {
      {250, Outcome::no_mail, Cause::unknown, "begins to send what waits"},
      {251, Outcome::no_mail, Cause::unknown, "no mail waits there"},
      {252, Outcome::no_mail, Cause::unknown, "begins to send what waits"},
      {253, Outcome::no_mail, Cause::unknown, "says how many messages"},
      {354, Outcome::protocol, Cause::out_of_step, "it is refused"},
      {421, Outcome::unavailable, Cause::put_off, "cannot serve us now"},
      {450, Outcome::unavailable, Cause::put_off, "cannot serve us now"},
      {458, Outcome::unavailable, Cause::put_off, "cannot send it now"},
      {459, Outcome::refused, Cause::etrn_refused, "does not let us ask for it"},
      {500, Outcome::protocol, Cause::no_etrn, "does not know ETRN"},
      {501, Outcome::refused, Cause::etrn_refused, "does not take that for a name"},
      {502, Outcome::protocol, Cause::no_etrn, "does not know ETRN"},
      {504, Outcome::protocol, Cause::no_etrn, "does not know ETRN"},
      {530, Outcome::auth, Cause::not_logged_in, "wants a login first"},
      {550, Outcome::refused, Cause::etrn_refused, "it is refused"},
      {554, Outcome::refused, Cause::etrn_refused, "it is refused"},
  };
  for (const auto& row : rows) {
    const smtp::Reply reply(row.code, "as it is");
    CAPTURE(row.code);
    CHECK(trigger::outcome_of(reply) == row.outcome);
    CHECK(trigger::cause_of(reply) == row.cause);
    const auto words = trigger::in_words("example.org", reply);
    CHECK(words.starts_with("ETRN example.org: "));
    CHECK(words.find(row.words) != std::string::npos);
    CHECK(words.ends_with("(\"" + std::to_string(row.code) + " as it is\")"));
  }
}
