#include "turn/turn.hpp"

#include <catch2/catch.hpp>

namespace odmr {

TEST_CASE("every reply to ATRN has its outcome") {
  const auto outcome_of = [](int code) { return turn::outcome_of(smtp::Reply(code, "text")); };
  CHECK_FALSE(outcome_of(250).has_value());  // the only one that turns the line
  CHECK(outcome_of(453) == Outcome::no_mail);
  CHECK(outcome_of(450) == Outcome::refused);
  CHECK(outcome_of(530) == Outcome::auth);
  for (const int code : {500, 502, 504}) CHECK(outcome_of(code) == Outcome::protocol);

  for (int code = 200; code < 600; ++code) {
    if (code == 250 || code == 453 || code == 450 || code == 530 || code == 500 || code == 502 || code == 504) continue;
    const Outcome expected = code < 400 ? Outcome::protocol : code < 500 ? Outcome::unavailable : Outcome::refused;
    INFO(code);
    CHECK(outcome_of(code) == expected);
  }
}

}  // namespace odmr
