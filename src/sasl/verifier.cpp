#include "sasl/verifier.hpp"

#include <fmt/format.h>

#include <array>
#include <optional>

#include "base/ascii.hpp"
#include "sasl/base64.hpp"
#include "sasl/gsasl.hpp"

namespace odmr::sasl {
namespace {

constexpr std::string_view k_scheme = "SCRAM-SHA-256";
// A salt for somebody who does not exist is 32 octets at most, and nobody may be known by having a longer one.
constexpr std::size_t k_shortest_salt = 8;
constexpr std::size_t k_longest_salt = 32;

struct Keys {
  Secret stored;
  Secret server;
};

using Key = std::array<char, GSASL_HASH_SHA256_SIZE>;

Secret taken(Key& key) {
  Secret secret(std::string_view(key.data(), key.size()));
  explicit_bzero(key.data(), key.size());
  return secret;
}

/// Applies SASLprep.
Result<Keys> keys_of(std::string_view password, unsigned iterations, const std::string& salt) {
  if (password.empty() || password.find('\0') != password.npos)
    return fail(Errc::malformed, "a password is not empty, and holds no NUL");
  const Secret copy(password);  // for its NUL at the end
  Key salted{};
  Key client{};
  Key server{};
  Key stored{};
  const int code =
      gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, copy.text().c_str(), iterations, salt.data(), salt.size(),
                                        salted.data(), client.data(), server.data(), stored.data());
  explicit_bzero(salted.data(), salted.size());
  explicit_bzero(client.data(), client.size());
  Keys keys{taken(stored), taken(server)};
  if (code == GSASL_SASLPREP_ERROR) {
    return fail(Errc::malformed, "the password is not UTF-8, or holds characters that SASLprep (RFC 4013) forbids");
  }
  if (code != GSASL_OK) return fail(Errc::io, fmt::format("libgsasl: {}", gsasl_strerror(code)));
  return keys;
}

tl::unexpected<Error> broken(const std::string& why) {
  return fail(Errc::malformed, why +
                                   "; it is written SCRAM-SHA-256$4096:SALT$STOREDKEY:SERVERKEY, the last three in "
                                   "base64");
}

/// What stands before `end`, which is taken away, too.
std::optional<std::string_view> take_up_to(std::string_view& text, char end) {
  const auto at = text.find(end);
  if (at == text.npos) return std::nullopt;
  const auto part = text.substr(0, at);
  text.remove_prefix(at + 1);
  return part;
}

bool is_key(const Result<std::string>& bytes) {
  return bytes && bytes->size() == GSASL_HASH_SHA256_SIZE;
}

}  // namespace

Result<ScramVerifier> parse_verifier(std::string_view text) {
  const auto scheme = take_up_to(text, '$');
  if (!scheme || upper(*scheme) != k_scheme) return broken("this is no verifier of SCRAM-SHA-256");
  const auto count = take_up_to(text, ':');
  const auto salt_text = take_up_to(text, '$');
  const auto stored_text = take_up_to(text, ':');
  if (!count || !salt_text || !stored_text) return broken("a part of the verifier is missing");
  const auto iterations = parse_number(*count);
  if (!iterations || *iterations < k_fewest_kept_iterations || *iterations > k_most_kept_iterations) {
    return broken(
        fmt::format("its iteration count is not one from {} to {}", k_fewest_kept_iterations, k_most_kept_iterations));
  }
  auto salt = from_base64(*salt_text);
  if (!salt || salt->size() < k_shortest_salt || salt->size() > k_longest_salt)
    return broken(fmt::format("its salt is not of {} to {} octets", k_shortest_salt, k_longest_salt));
  auto stored = from_base64(*stored_text);
  auto server = from_base64(text);
  if (!is_key(stored) || !is_key(server)) return broken("one of its keys is not of 32 octets");
  ScramVerifier verifier{static_cast<unsigned>(*iterations), std::move(*salt), Secret(*stored), Secret(*server)};
  wipe(*stored);
  wipe(*server);
  return verifier;
}

std::string to_text(const ScramVerifier& verifier) {
  return fmt::format("{}${}:{}${}:{}", k_scheme, verifier.iterations, to_base64(verifier.salt),
                     to_base64(verifier.stored_key.text()), to_base64(verifier.server_key.text()));
}

Result<ScramVerifier> make_verifier(std::string_view password, unsigned iterations) {
  std::string salt(k_kept_salt_bytes, '\0');
  if (gsasl_random(salt.data(), salt.size()) != GSASL_OK) return fail(Errc::io, "the system gives no random bytes");
  auto keys = keys_of(password, iterations, salt);
  if (!keys) return fail(keys.error());
  return ScramVerifier{iterations, std::move(salt), std::move(keys->stored), std::move(keys->server)};
}

bool is_password_of(const ScramVerifier& verifier, std::string_view password) {
  const auto keys = keys_of(password, verifier.iterations, verifier.salt);
  if (!keys) return false;
  const std::string& expected = verifier.stored_key.text();
  const std::string& given = keys->stored.text();
  std::size_t difference = expected.size() ^ given.size();
  for (std::size_t i = 0; i < given.size() && i < expected.size(); ++i)
    difference |= static_cast<unsigned char>(given[i] ^ expected[i]);
  return difference == 0;
}

}  // namespace odmr::sasl
