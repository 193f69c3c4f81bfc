#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "sasl/mechanism.hpp"
#include "sasl/verifier.hpp"

namespace odmr::sasl {

/// Who may log in.
class Accounts {
 public:
  virtual ~Accounts() = default;
  /// The password of `user`; no value where there is no such user. The view must stay good until the exchange is over.
  /// An empty password lets nobody in, nor does one with a NUL. Passwords are compared after SASLprep.
  virtual std::optional<std::string_view> password(std::string_view user) const = 0;

  /// What is kept of `user` in place of a password; null where there is none. It does for SCRAM-SHA-256, PLAIN and
  /// LOGIN; by the others nobody logs in with it.
  virtual const ScramVerifier* verifier(std::string_view /*user*/) const { return nullptr; }

  // Nobody can tell who exists: who does not is met as somebody else is who does.

  /// The verifier of one of those who have one or a password, chosen by `number`; null where that one has a password.
  virtual const ScramVerifier* stand_in(std::uint32_t /*number*/) const { return nullptr; }
  /// `user` as users are told apart: two names of the same one give the same.
  virtual std::string name_of(std::string_view user) const { return std::string(user); }
  /// A secret, printable ASCII, from which the salts of those come that have no verifier. It has to last as long as
  /// verifiers do, whose salts stay; empty where there are none, then one of this process does.
  virtual std::string_view salting_key() const { return {}; }
};

/// What TLS knows of the client.
struct Channel {
  /// RFC 9266's 32 bytes; empty where the stream gives none. Where it is not, the server is taken to announce
  /// SCRAM-SHA-256-PLUS, and a client that says it could bind but saw no offer is refused: somebody took it away.
  std::string_view tls_exporter;
  /// The user for whom the verified client certificate stands; empty without one. EXTERNAL rests on it.
  std::string_view certificate_user;
};

/// What the server says next.
struct Step {
  std::string challenge;  ///< for a 334; to be ignored once done
  bool done = false;      ///< 235 is due
  std::string user;       ///< who logged in, once done
};

/// The server's half of one exchange, in decoded bytes. The caller does this:
///
///     AUTH NAME [argument]   begin(from_initial_response(argument), or nothing)
///     Step, not done         334 to_base64(challenge), read a line; "*" ends it (501, this object is thrown away);
///                            else step(from_base64(line))
///     Step, done             235
///     Error                  malformed: 501 5.5.2   too_long: 500 5.5.6   denied: 535 5.7.8   another: 454 4.7.0
///
/// SCRAM's last message of the server travels as one more 334, which the client answers with an empty line (RFC 4954
/// 4): that is a step like any other here, done comes after it. An unknown user and a wrong password give the same
/// messages, the same Error and the same work.
class Server {
 public:
  static Result<Server> start(Mechanism mechanism, const Accounts& accounts, const Channel& channel = {});

  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server();

  Mechanism mechanism() const;

  /// The first step, once: `initial` is AUTH's initial response, decoded; no value where AUTH carried none.
  Result<Step> begin(std::optional<std::string_view> initial);
  /// Every further one. After an Error or done each further step is an Error.
  Result<Step> step(std::string_view response);

  /// After a refusal, for the administrator alone: the user, where only a verifier is kept of him, by which this
  /// mechanism lets nobody in. Else empty.
  const std::string& user_without_password() const;

 private:
  class Exchange;
  explicit Server(std::unique_ptr<Exchange> exchange);
  std::unique_ptr<Exchange> exchange_;
};

}  // namespace odmr::sasl
