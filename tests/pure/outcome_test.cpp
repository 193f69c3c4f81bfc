#include "base/outcome.hpp"

#include <catch2/catch.hpp>

using namespace odmr;

TEST_CASE("Every outcome has the word and the exit status of the contract, in the contract's order") {
  struct Row {
    Outcome outcome;
    std::string_view word;
    int exit;
  };
  // The table of contract.md, "Outcome and exit status".
  const Row rows[] = {
      {Outcome::no_mail, "no-mail", 0},
      {Outcome::fetched, "fetched", 0},
      {Outcome::sent, "sent", 0},
      {Outcome::deferred, "deferred", 75},
      {Outcome::unavailable, "unavailable", 75},
      {Outcome::locked, "locked", 75},
      {Outcome::local_down, "local-down", 69},
      {Outcome::protocol, "protocol", 76},
      {Outcome::tls, "tls", 76},
      {Outcome::auth, "auth", 77},
      {Outcome::refused, "refused", 77},
      {Outcome::config, "config", 78},
      {Outcome::state, "state", 73},
      {Outcome::bug, "bug", 70},
  };
  for (const Row& row : rows) {
    CAPTURE(row.word);
    CHECK(name(row.outcome) == row.word);
    CHECK(exit_status(row.outcome) == row.exit);
  }
  // "Of several outcomes the one lowest in this table wins."
  for (std::size_t low = 0; low < std::size(rows); ++low) {
    for (std::size_t high = 0; high <= low; ++high) {
      CHECK(worst(rows[low].outcome, rows[high].outcome) == rows[low].outcome);
      CHECK(worst(rows[high].outcome, rows[low].outcome) == rows[low].outcome);
    }
  }
  CHECK(k_exit_usage == 64);
}
