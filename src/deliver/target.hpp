#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.hpp"
#include "client/open.hpp"
#include "smtp/command.hpp"

namespace odmr::deliver {

/// What a target can honour, and so what may be offered to the provider.
struct Abilities {
  std::uint64_t size = 0;  ///< 0: no fixed limit
  bool smtputf8 = false;
  bool dsn = false;
};

/// Who the message is from and for, once DATA comes: what final delivery writes above it.
struct Handover {
  smtp::Path reverse_path;
  std::vector<smtp::Mailbox> recipients;
  std::string trace;  ///< our Received field, CRLF line ends
};

/// Where received mail goes: one transaction after the other. Every refusal is already what the provider should hear:
/// a fault of ours or of the target's (down, login refused, out of step) is 4xx, a verdict on the mail is the target's
/// own word, and 421 never comes through, since it would close the provider's line.
/// A smart host (TargetOptions::role) is one too, for mail of our own that is not to wait in the queue: its words come
/// through as they are, and so does why it cannot be reached.
class Target {
 public:
  virtual ~Target() = default;

  /// Makes sure that a message could be handed over now: connects, or finds that an earlier connection still lives.
  virtual net::Task<Result<void>> ready() = 0;
  /// Of the target as ready() first found it.
  virtual const Abilities& abilities() const = 0;

  /// Before mail(): what follows it for certain, unless the target refuses. Where the target takes it so, all of it is
  /// said at once (RFC 2920); rcpt(), for these recipients in this order, and data() are called all the same.
  virtual void foresee(smtp::Ahead&& /*ahead*/) {}
  virtual net::Task<smtp::Reply> mail(const smtp::MailCommand& mail) = 0;
  virtual net::Task<smtp::Reply> rcpt(const smtp::RcptCommand& rcpt) = 0;
  /// After at least one accepted recipient. A reply is a refusal; no value: content() may follow.
  virtual net::Task<std::optional<smtp::Reply>> data(const Handover& handover) = 0;
  /// The next piece of the message, CRLF line ends. Gives whether the target still takes it; once it does not, the rest
  /// may be thrown away, and finish() says why.
  virtual net::Task<bool> content(std::string_view piece) = 0;
  /// The end of the message: one reply per accepted recipient, in their order.
  virtual net::Task<std::vector<smtp::Reply>> finish() = 0;
  /// Ends a transaction without its message. Nothing of it is delivered.
  virtual net::Task<> abandon() = 0;
  /// QUIT, where there is something to quit.
  virtual net::Task<> close() = 0;
};

/// Which target, and how patient with it.
struct TargetOptions {
  enum class Kind { smtp, lmtp, maildir };
  enum class Role { local, smart_host };
  Kind kind = Kind::smtp;
  Role role = Role::local;                    ///< smart_host: of Kind::smtp
  client::Server server;                      ///< smtp and lmtp
  std::string directory;                      ///< maildir
  std::string hostname;                       ///< ours, in the names of files
  Duration final = std::chrono::minutes(10);  ///< the answer to the final dot
  std::size_t max_connections = 1;            ///< at once, for received mail; of smtp and lmtp
  const client::OnStep* on_step = nullptr;    ///< told how a connection to smtp or lmtp comes about; may be null
};

/// Stop::Phase::leave closes the target's connection, also inside a transaction.
std::unique_ptr<Target> make_target(const TargetOptions& options, net::Network& network, FileOps& files, Log& log,
                                    Stop& stop);

/// A target's refusal as the provider hears it: an enhanced code (RFC 2034) in front where there is none, 421 as 451.
smtp::Reply passed_on(smtp::Reply reply);

}  // namespace odmr::deliver
