#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/open.hpp"
#include "collect/wire.hpp"

namespace odmr::collect {

/// What a server says to a step of a login.
struct LoginAnswer {
  enum class Kind { challenge, yes, no };
  Kind kind = Kind::no;
  bool is_temporary = false;  ///< no, but not for good
  std::string text;           ///< of a challenge: its base64; else for people
};

/// How a protocol carries a SASL exchange (RFC 5034 for POP3, RFC 3501 6.2.2 for IMAP).
class SaslCarrier {
 public:
  virtual ~SaslCarrier() = default;
  /// `initial`: the initial response in base64, "=" where it is empty; no value: none.
  virtual net::Task<Result<LoginAnswer>> begin(std::string mechanism, std::optional<std::string> initial) = 0;
  /// `response` in base64; it may hold the password.
  virtual net::Task<Result<LoginAnswer>> respond(std::string response) = 0;
};

/// What a login has to go by, with this server, on this line.
sasl::Situation situation_of(Wire& wire);

/// Whether the configuration's `auth` lets it through: a login of the protocol's own counts as the mechanism that shows
/// as much (USER and LOGIN as LOGIN, APOP as CRAM-MD5).
bool is_let_through(const client::Login& login, sasl::Mechanism mechanism);

client::OpenFailure login_refused(const std::string& mechanism, const LoginAnswer& answer);
client::OpenFailure not_in(Outcome outcome, Cause cause, std::string text);

/// Carries out the exchange of the mechanism. No value: logged in.
net::Task<std::optional<client::OpenFailure>> log_in_by_sasl(Wire& wire, SaslCarrier& carrier,
                                                             sasl::Mechanism mechanism);

}  // namespace odmr::collect
