#include "base/cause.hpp"

#include <array>
#include <cstddef>

namespace odmr {

namespace {

// In the order of the enumeration.
constexpr std::array<std::string_view, static_cast<std::size_t>(k_last_cause) + 1> k_words = {
    "unknown",
    "stopped",
    "name-not-found",
    "name-server-silent",
    "connection-refused",
    "host-unreachable",
    "no-connection-in-time",
    "socket-missing",
    "socket-denied",
    "maildir-unusable",
    "no-greeting",
    "greeting-refused",
    "not-smtp",
    "hello-refused",
    "put-off",
    "no-answer",
    "line-lost",
    "out-of-step",
    "starttls-not-offered",
    "starttls-refused",
    "not-tls",
    "tls-handshake",
    "certificate-expired",
    "certificate-not-yet-valid",
    "certificate-of-another-host",
    "certificate-of-unknown-issuer",
    "certificate-unusable",
    "pin-mismatch",
    "auth-not-offered",
    "mechanism-needs-tls",
    "mechanism-excluded",
    "no-mechanism",
    "credentials-unusable",
    "login-refused",
    "login-put-off",
    "no-proof",
    "not-logged-in",
    "atrn-refused",
    "atrn-forbidden",
    "no-odmr",
    "no-etrn",
    "etrn-refused",
    "signal-unanswered",
    "folder-refused",
    "mail-left-there",
    "line-lost-in-message",
    "nothing-but-errors",
    "mail-put-off",
    "mail-kept-here",
    "target-refuses-all",
    "line-not-up",
    "locked",
    "disk-full",
    "state-of-another-user",
    "state-denied",
    "state-unusable",
    "watched",
    "state-of-root",
    "state-of-newer-version",
    "state-open-to-others",
    "configuration",
};
static_assert(!k_words.back().empty());

}  // namespace

std::string_view name(Cause cause) {
  return k_words.at(static_cast<std::size_t>(cause));
}

std::optional<Cause> cause_named(std::string_view word) {
  for (std::size_t i = 0; i < k_words.size(); ++i) {
    if (k_words[i] == word) return static_cast<Cause>(i);
  }
  return std::nullopt;
}

}  // namespace odmr
