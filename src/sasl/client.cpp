#include "sasl/client.hpp"

#include <utility>

#include "base/secret.hpp"
#include "sasl/base64.hpp"
#include "sasl/gsasl.hpp"
#include "sasl/scram.hpp"

namespace odmr::sasl {
namespace {

/// libgsasl prepares names and passwords for these, and so they cannot carry everything.
bool prepares(Mechanism mechanism) {
  return is_scram(mechanism) || mechanism == Mechanism::cram_md5;
}

Result<void> check_sendable(Mechanism mechanism, const std::string& what, std::string_view text) {
  if (text.empty()) return fail(Errc::malformed, "the " + what + " is empty");
  if (text.find('\0') != text.npos) return fail(Errc::malformed, "the " + what + " holds a NUL, which cannot be sent");
  if (!prepares(mechanism)) return {};
  auto prepared = saslprep(text);
  if (!prepared) {
    return fail(Errc::malformed, "the " + what +
                                     " is not UTF-8, or holds characters that SASLprep (RFC 4013) forbids: " +
                                     std::string(name(mechanism)) + " cannot send it");
  }
  const bool is_empty = prepared->empty();
  wipe(*prepared);
  if (is_empty) return fail(Errc::malformed, "the " + what + " consists of characters that SASLprep drops");
  return {};
}

// RFC 5801 4.
std::string saslname(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == ',' ? "=2C" : c == '=' ? "=3D" : std::string(1, c);
  return out;
}

Result<void> check_sendable(Mechanism mechanism, const Credentials& credentials) {
  if (mechanism == Mechanism::external) return {};
  if (auto fine = check_sendable(mechanism, "user name", credentials.user); !fine) return fine;
  return check_sendable(mechanism, "password", credentials.password);
}

}  // namespace

class Client::Exchange {
 public:
  Exchange(Mechanism mechanism, Session session) : mechanism_(mechanism), session_(std::move(session)) {}

  Result<void> give(const Credentials& credentials, std::string_view tls_exporter);
  Result<std::string> step(std::string_view challenge);

  Mechanism mechanism() const { return mechanism_; }
  bool is_complete() const { return state_ == State::complete; }
  /// libgsasl ends a SCRAM exchange well only after the server's signature was right.
  bool server_proved() const { return is_complete() && is_scram(mechanism_); }

 private:
  enum class State { running, complete, failed };

  Result<void> check_challenge(std::string_view challenge) const;
  Result<std::string> say_token();
  Error failure(int code) const;

  Mechanism mechanism_;
  Session session_;
  State state_ = State::running;
  int steps_ = 0;
  std::string nonce_;
  Secret token_message_;  // of those that want one; libgsasl has none of them
};

Result<void> Client::Exchange::give(const Credentials& credentials, std::string_view tls_exporter) {
  if (mechanism_ == Mechanism::external) return {};
  if (is_for_token(mechanism_)) {
    // RFC 7628 3.1; XOAUTH2 is the same without the GS2 header. A comma or "=" in a name is written out there.
    std::string message = mechanism_ == Mechanism::xoauth2 ? "user=" + std::string(credentials.user)
                                                           : "n,a=" + saslname(credentials.user) + ",";
    message +=
        "\x01"
        "auth=Bearer " +
        std::string(credentials.password) + "\x01\x01";
    token_message_ = Secret(message);
    wipe(message);
    return {};
  }
  bool given =
      set(session_.get(), GSASL_AUTHID, credentials.user) && set(session_.get(), GSASL_PASSWORD, credentials.password);
  // Only for -PLUS: any channel binding makes libgsasl 2.2 fail without it.
  if (needs_channel_binding(mechanism_)) {
    given = given && set(session_.get(), GSASL_CB_TLS_EXPORTER, to_base64(tls_exporter));
  }
  if (!given) return fail(Errc::io, "libgsasl does not take the credentials");
  return {};
}

Result<void> Client::Exchange::check_challenge(std::string_view challenge) const {
  if (challenge.size() > k_longest_message) return fail(Errc::too_long, "the server's challenge is too long");
  const bool is_first = steps_ == 0;
  if (!is_first || mechanism_ == Mechanism::cram_md5) {
    // LOGIN's questions are for people: any will do, none too.
    if (challenge.empty() && mechanism_ != Mechanism::login) {
      return fail(Errc::malformed, "the server's challenge is empty");
    }
  }
  if (!is_scram(mechanism_) || is_first) return {};
  return steps_ == 1 ? check_server_first(challenge, nonce_) : check_server_final(challenge);
}

// The one message there is. What the server says to a token that it does not take is a challenge with its reasons, and
// wants an answer before it refuses (RFC 7628 3.2.3).
Result<std::string> Client::Exchange::say_token() {
  if (++steps_ == 1) {
    state_ = State::complete;
    return token_message_.text();
  }
  if (steps_ == 2) return std::string(mechanism_ == Mechanism::oauthbearer ? "\x01" : "");
  state_ = State::failed;
  return fail(Errc::malformed, "the server asks on after " + std::string(name(mechanism_)) + " has come to its end");
}

Error Client::Exchange::failure(int code) const {
  const std::string mechanism(name(mechanism_));
  switch (errc_of(code)) {
    case Errc::malformed:
      return {Errc::malformed, "the server's message does not follow the grammar of " + mechanism};
    case Errc::denied:
      // Name, password and nonce were looked at before: what is left is the signature.
      return {Errc::denied, "the server could not prove that it knows the password (" + mechanism + ")"};
    default:
      return {Errc::io, mechanism + " failed: " + gsasl_strerror(code)};
  }
}

Result<std::string> Client::Exchange::step(std::string_view challenge) {
  if (state_ == State::failed) return fail(Errc::malformed, "the login has failed already");
  if (is_for_token(mechanism_)) return say_token();
  if (state_ == State::complete) {
    state_ = State::failed;
    return fail(Errc::malformed, "the server asks on after " + std::string(name(mechanism_)) + " has come to its end");
  }
  if (auto fine = check_challenge(challenge); !fine) {
    state_ = State::failed;
    return fail(fine.error());
  }
  Stepped stepped = sasl::step(session_.get(), challenge);
  if (stepped.code != GSASL_OK && stepped.code != GSASL_NEEDS_MORE) {
    state_ = State::failed;
    return fail(failure(stepped.code));
  }
  if (stepped.code == GSASL_OK) state_ = State::complete;
  if (steps_ == 0 && is_scram(mechanism_)) nonce_ = nonce_of(stepped.output);
  ++steps_;
  return std::move(stepped.output);
}

Result<Client> Client::start(Mechanism mechanism, const Credentials& credentials, std::string_view tls_exporter) {
  if (auto fine = check_sendable(mechanism, credentials); !fine) return fail(fine.error());
  if (needs_channel_binding(mechanism) && tls_exporter.empty()) {
    return fail(Errc::denied, std::string(name(mechanism)) + " needs a TLS channel to bind to");
  }
  Session session;
  if (!is_for_token(mechanism)) {
    auto started = start_client(mechanism);
    if (!started) return fail(started.error());
    session = std::move(*started);
  }
  auto exchange = std::make_unique<Exchange>(mechanism, std::move(session));
  if (auto fine = exchange->give(credentials, tls_exporter); !fine) return fail(fine.error());
  return Client(std::move(exchange));
}

Client::Client(std::unique_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Mechanism Client::mechanism() const {
  return exchange_->mechanism();
}
Result<std::string> Client::step(std::string_view challenge) {
  return exchange_->step(challenge);
}
bool Client::is_complete() const {
  return exchange_->is_complete();
}
bool Client::server_proved() const {
  return exchange_->server_proved();
}

Result<void> Client::check_success() const {
  if (is_complete()) return {};
  const std::string mechanism(name(exchange_->mechanism()));
  if (is_scram(exchange_->mechanism())) {
    return fail(Errc::denied,
                "the server says that the login is good without having proved itself (" + mechanism + ")");
  }
  return fail(Errc::denied, "the server says that the login is good before " + mechanism + " has come to its end");
}

}  // namespace odmr::sasl
