#pragma once

#include <optional>
#include <string_view>

namespace odmr {

/// How a session ended. The order is the order of gravity: of several outcomes the last one wins.
enum class Outcome {
  no_mail,
  fetched,
  sent,
  deferred,
  unavailable,
  locked,
  local_down,
  protocol,
  tls,
  auth,
  refused,
  config,
  state,
  bug,
};

/// The word for an outcome, as `--json` prints it: "no-mail", "local-down" …
std::string_view name(Outcome outcome);
std::optional<Outcome> outcome_named(std::string_view word);

/// The exit status of a program whose work ended so (sysexits.h).
int exit_status(Outcome outcome);

/// The graver of the two.
constexpr Outcome worst(Outcome a, Outcome b) {
  return a < b ? b : a;
}

/// Command-line mistakes (EX_USAGE): no session, so no outcome.
inline constexpr int k_exit_usage = 64;

}  // namespace odmr
