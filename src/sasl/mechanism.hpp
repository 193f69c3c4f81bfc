#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

// The ways of logging in that odmr and odmrd speak, and which of them to take.
namespace odmr::sasl {

/// In our order of strength, the strongest first.
enum class Mechanism {
  scram_sha_256_plus,
  scram_sha_256,
  scram_sha_1,
  external,
  cram_md5,
  oauthbearer,  ///< RFC 7628; only of the client's half
  xoauth2,      ///< what was there before it
  plain,
  login,
};

inline constexpr std::array k_mechanisms = {
    Mechanism::scram_sha_256_plus,
    Mechanism::scram_sha_256,
    Mechanism::scram_sha_1,
    Mechanism::external,
    Mechanism::cram_md5,
    Mechanism::oauthbearer,
    Mechanism::xoauth2,
    Mechanism::plain,
    Mechanism::login,
};

/// "SCRAM-SHA-256-PLUS" …, as AUTH and the configuration write it.
std::string_view name(Mechanism mechanism);
/// Whatever the case; no value for a mechanism that we do not speak.
std::optional<Mechanism> mechanism_named(std::string_view name);

/// SCRAM of any kind: the server proves itself too.
constexpr bool is_scram(Mechanism m) {
  return m <= Mechanism::scram_sha_1;
}
constexpr bool needs_channel_binding(Mechanism m) {
  return m == Mechanism::scram_sha_256_plus;
}
/// May go over a line that anybody can read: nothing said there is the password.
constexpr bool allowed_in_clear(Mechanism m) {
  return m == Mechanism::scram_sha_256 || m == Mechanism::scram_sha_1 || m == Mechanism::cram_md5;
}
/// Wants a token in the password's place.
constexpr bool is_for_token(Mechanism m) {
  return m == Mechanism::oauthbearer || m == Mechanism::xoauth2;
}
/// The client has something to say before any challenge, so AUTH can carry it (RFC 4954's initial response).
constexpr bool client_speaks_first(Mechanism m) {
  return m != Mechanism::cram_md5 && m != Mechanism::login;
}

/// What a login has to go by. A server that asks what it may offer sets what it could check.
struct Situation {
  bool tls = false;                     ///< the stream is encrypted
  bool verified = true;                 ///< inside TLS: the peer is who the configuration says
  bool has_channel_binding = false;     ///< the stream can give a tls-exporter value (RFC 9266)
  bool has_client_certificate = false;  ///< configured, and so given in the handshake; EXTERNAL rests on it
  bool has_password = false;
  bool has_token = false;  ///< the password is one: whoever configures its mechanisms by name says so
};

/// Whether `filter` names a mechanism that wants a token.
bool names_token(const std::vector<Mechanism>& filter);

/// Whether `mechanism` can be used there, and safely.
bool is_usable(Mechanism mechanism, const Situation& situation);
/// All that are usable, the strongest first: what a server announces after AUTH.
std::vector<Mechanism> usable(const Situation& situation);

/// The strongest mechanism among `offered` (the words after AUTH in the EHLO reply; empty: AUTH was not announced)
/// that `filter` names (`auth` in the configuration; empty: all) and that is usable. Where there is none: Errc::denied,
/// and a sentence that says what stands in the way and what to change.
/// Its cause is auth_not_offered, mechanism_needs_tls, mechanism_excluded, no_mechanism or credentials_unusable.
Result<Mechanism> choose(const std::vector<std::string>& offered, const std::vector<Mechanism>& filter,
                         const Situation& situation);

/// What keeps those among `offered` from being taken that cannot be: "LOGIN (sent only inside TLS, …); X (not spoken
/// here)". Empty where all could be.
std::string why_not(const std::vector<std::string>& offered, const std::vector<Mechanism>& filter,
                    const Situation& situation);

}  // namespace odmr::sasl
