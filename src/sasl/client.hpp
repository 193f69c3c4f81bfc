#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "sasl/mechanism.hpp"

namespace odmr::sasl {

/// Copied while they are needed, and the copies wiped. EXTERNAL uses neither: the certificate says who we are.
struct Credentials {
  std::string_view user;
  std::string_view password;
};

/// The client's half of one exchange, in decoded bytes. The caller does this:
///
///     auto client = Client::start(…);
///     speaks_first?  AUTH NAME to_initial_response(step(""))   :   AUTH NAME
///     334 text       send to_base64(step(from_base64(text)))
///     235            check_success(), which may be an error: the server did not prove itself
///     an Error       send "*" (where a 334 waits for an answer) and give the login up
///
/// What step() gives may hold the password: wipe() it, and its base64, once it is sent.
class Client {
 public:
  /// `tls_exporter` is RFC 9266's value of the TLS channel, raw; only SCRAM-SHA-256-PLUS uses it. (The others say that
  /// they do not bind, gs2 flag "n": libgsasl 2.2 cannot say "y".)
  /// Errc::malformed where user or password cannot be sent by this mechanism (an empty one, NUL, and for SCRAM and
  /// CRAM-MD5 what is not UTF-8 or what SASLprep forbids); Errc::denied where the channel binding is missing.
  static Result<Client> start(Mechanism mechanism, const Credentials& credentials, std::string_view tls_exporter = {});

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  Mechanism mechanism() const;
  bool speaks_first() const { return client_speaks_first(mechanism()); }

  /// The answer to `challenge` (empty for the initial response). May take long for SCRAM: up to a second of CPU at
  /// the highest iteration count accepted. After an Error every further step is one.
  /// Errc::malformed: the server broke the mechanism's grammar; too_long: a challenge beyond any use;
  /// denied: the server failed its proof, reported an error, or asks for what we do not agree to.
  Result<std::string> step(std::string_view challenge);

  /// All that we have to say is said: only 235, or a refusal, may follow.
  bool is_complete() const;
  /// The server showed that it knows the password. Never true for mechanisms other than SCRAM.
  bool server_proved() const;
  /// To be asked when 235 comes: an Error (denied) where it comes before the exchange is at its end.
  Result<void> check_success() const;

 private:
  class Exchange;
  explicit Client(std::unique_ptr<Exchange> exchange);
  std::unique_ptr<Exchange> exchange_;
};

}  // namespace odmr::sasl
