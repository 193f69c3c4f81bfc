#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/secret.hpp"

// What a server keeps in place of a password (RFC 5802 3): enough to check one, not enough to log in elsewhere.
namespace odmr::sasl {

/// Of SCRAM-SHA-256. Whoever has it can still try passwords against it, so it is kept like one.
struct ScramVerifier {
  unsigned iterations = 0;
  std::string salt;   ///< raw
  Secret stored_key;  ///< raw, 32 octets
  Secret server_key;  ///< likewise
};

/// Fewer iterations make guessing cheap (RFC 7677 4); more would hold up all other lines while PLAIN is checked, which
/// is done on the event loop: 20,000 are some 15 ms.
inline constexpr unsigned k_fewest_kept_iterations = 4'096;
inline constexpr unsigned k_most_kept_iterations = 20'000;
inline constexpr std::size_t k_kept_salt_bytes = 16;

/// "SCRAM-SHA-256$4096:SALT$STOREDKEY:SERVERKEY", the last three in base64: RFC 5803's form, and PostgreSQL's. Errors:
/// malformed, with what would be right; it never repeats the text.
Result<ScramVerifier> parse_verifier(std::string_view text);
std::string to_text(const ScramVerifier& verifier);

/// A new one, with a salt of its own. Errors: malformed, a password that SASLprep forbids, or that is empty or holds a
/// NUL; io.
Result<ScramVerifier> make_verifier(std::string_view password, unsigned iterations = k_fewest_kept_iterations);

/// Whether the password is the one, in a time that does not depend on where it differs; as long as SCRAM takes.
bool is_password_of(const ScramVerifier& verifier, std::string_view password);

}  // namespace odmr::sasl
