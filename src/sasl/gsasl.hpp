#pragma once

#include <gsasl.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "sasl/mechanism.hpp"

// libgsasl in C++ clothes; for this room's own sources only.
namespace odmr::sasl {

/// No message of ours or of a peer's may be longer: RFC 4954 4 has lines up to 12,288 octets, base64 included.
inline constexpr std::size_t k_longest_message = 12'288;

/// Fewer make guessing cheap (RFC 7677 4), more make us work for a stranger: 10^6 are 0.7 s.
inline constexpr unsigned k_fewest_iterations = 4'096;
inline constexpr unsigned k_most_iterations = 1'000'000;

/// Who answers when libgsasl lacks a property of a session.
class Asked {
 public:
  virtual ~Asked() = default;
  /// Sets `wanted` in `session`, or judges it (GSASL_VALIDATE_…); a Gsasl_rc.
  virtual int answer(Gsasl_session* session, Gsasl_property wanted) = 0;
};

struct EndSession {
  void operator()(Gsasl_session* session) const;
};
/// Wipes its secrets when it ends.
using Session = std::unique_ptr<Gsasl_session, EndSession>;

Result<Session> start_client(Mechanism mechanism);
/// `asked` must outlive the session.
Result<Session> start_server(Mechanism mechanism, Asked& asked);

/// False where memory ran out or `value` holds a NUL, which libgsasl would take for its end.
bool set(Gsasl_session* session, Gsasl_property property, std::string_view value);
/// Empty where the property is not set; never asks.
std::string_view get(Gsasl_session* session, Gsasl_property property);

struct Stepped {
  int code = GSASL_OK;
  std::string output;
};
/// gsasl_step, whose own buffer is wiped.
Stepped step(Gsasl_session* session, std::string_view input);

/// `text` after SASLprep, or no value where it forbids the text. Without a NUL.
std::optional<std::string> saslprep(std::string_view text);

/// A failed gsasl_step in our words: malformed and denied are the peer's doing, io is ours.
Errc errc_of(int code);

}  // namespace odmr::sasl
