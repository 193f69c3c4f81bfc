#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/outcome.hpp"
#include "base/secret.hpp"
#include "client/session.hpp"
#include "net/network.hpp"
#include "sasl/mechanism.hpp"

namespace odmr::client {

/// What TLS has to be like. `none` and `if_available` are the administrator's own words in the configuration.
enum class TlsPolicy { none, if_available, starttls, implicit };

/// How we log in.
struct Login {
  std::string user;
  Secret password;                      ///< empty where only a client certificate speaks for us
  std::vector<sasl::Mechanism> filter;  ///< empty: all
  bool has_client_certificate = false;
};

struct Patience {
  Duration connect = std::chrono::seconds(30);  ///< one address; and the TLS handshake
  Duration command = std::chrono::minutes(5);   ///< greeting, a reply
  Duration silence = std::chrono::minutes(2);   ///< the peer takes no byte
};

/// A server to speak to.
struct Server {
  net::Endpoint endpoint;
  std::vector<net::Endpoint> alternatives;  ///< hosts that do the same, tried in turn where that one cannot be used
  /// A dialled line may still be coming up until then: who cannot be reached is tried again.
  TimePoint line_due = TimePoint::min();
  Dialect dialect = Dialect::smtp;
  std::string hostname;  ///< ours, in EHLO or LHLO
  TlsPolicy tls = TlsPolicy::none;
  std::shared_ptr<net::TlsContext> tls_context;  ///< unless the policy is `none`
  std::shared_ptr<const Login> login;            ///< null: no login
  Patience patience;
  smtp::ReplyLimits reply_limits;
};

enum class Step { connect, greeting, hello, tls, certificate, mechanism, auth };

/// Why a conversation did not come about.
struct OpenFailure {
  Step step = Step::connect;
  Outcome outcome = Outcome::unavailable;  ///< unavailable, protocol, tls or auth
  std::optional<smtp::Reply> reply;        ///< what the server answered, if that was it
  std::string text;                        ///< a sentence, with the server's words where there are any
  bool interrupted = false;                ///< it was us who wanted to stop
  std::string tls;                         ///< "TLSv1.3" where it came so far
  Cause cause = Cause::unknown;
  std::size_t connections = 0;  ///< that were made on the way
};

/// A conversation ready for its first own command.
struct Opened {
  Session session;
  std::string tls;              ///< "TLSv1.3", empty in clear text
  std::string mechanism;        ///< "SCRAM-SHA-256", empty without login
  std::size_t connections = 1;  ///< that were made on the way, this one included
  std::size_t host = 0;         ///< 0: the server's endpoint; else of its alternatives, counted from 1
};

/// "connect", "greeting" …, for the log and for people.
std::string_view name(Step step);

/// A step that has succeeded.
struct Reached {
  Step step = Step::connect;
  std::string text;                             ///< what the server said, or what came of it
  std::optional<net::Certificate> certificate;  ///< of Step::certificate
};
using OnStep = std::function<void(const Reached& reached)>;

/// Told why a host gives way to the next one.
using OnNextHost = std::function<void(const OpenFailure& failure)>;

/// Connects, reads the greeting, says EHLO (or LHLO), begins TLS as the policy has it, says EHLO again, logs in.
/// A host that cannot be reached, says nothing or greets with 4xx gives way to the next one; a host that has let us in
/// so far as to know us does not: what it refuses, it refuses. With several, the text names each one that was tried.
/// Ends early, with `interrupted`, when `stop` is asked for.
/// `on_step` and `on_next_host` may be null.
net::Task<tl::expected<Opened, OpenFailure>> open(net::Network& network, const Server& server, Log& log, Stop& stop,
                                                  const OnStep* on_step = nullptr,
                                                  const OnNextHost* on_next_host = nullptr);

/// Somebody's way of beginning a conversation with one host; open() has SMTP's.
class Door {
 public:
  virtual ~Door() = default;
  /// At `server.endpoint` alone. No value: the conversation has begun.
  virtual net::Task<std::optional<OpenFailure>> knock(const Server& server) = 0;
};

/// Which host it was (Opened has the same two).
struct Found {
  std::size_t connections = 1;
  std::size_t host = 0;
};

/// One host after the other, and all of them again while the line may still be coming up, as open() has it.
net::Task<tl::expected<Found, OpenFailure>> find_host(Door& door, Clock& clock, const Server& server, Log& log,
                                                      Stop& stop, const OnNextHost* on_next_host = nullptr);

/// AUTH with the strongest mechanism on offer. Gives its name. `on_step` may be null.
net::Task<tl::expected<std::string, OpenFailure>> log_in(Session& session, const Login& login, TlsPolicy policy,
                                                         Duration patience, const OnStep* on_step = nullptr);

/// What went wrong on the wire, as a failure: the outcome is `protocol` for a peer that does not follow the grammar.
OpenFailure wire_failure(Step step, const Error& error);

}  // namespace odmr::client
