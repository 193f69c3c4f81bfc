#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/held_lines.hpp"
#include "app/settings.hpp"
#include "base/outcome.hpp"
#include "collect/collection.hpp"
#include "collect/open.hpp"
#include "receive/reception.hpp"
#include "send/flush.hpp"

namespace odmr::app {

/// The mailbox that a provider has for us in place of a queue.
struct MailboxPlan {
  collect::Place place;
  collect::Keeping keeping;
  bool unseen_only = false;
  bool marks_seen = false;
  bool bounces_refused = false;
  collect::Addressing addressing;
};

/// The place of a part of a session among those that fetch for it at the same time.
struct Lane {
  std::function<std::uint64_t()> next_connection;  ///< its number within the session
  std::function<void()> on_reply;                  ///< the provider has answered ATRN
};

/// Everything that a session with one provider needs, secrets and trust loaded.
struct FetchPlan {
  std::string provider;    ///< its name in the configuration
  std::string session_id;  ///< in the log, in Received, and in the report
  std::string hostname;
  client::Server server;
  std::vector<std::string> domains;
  bool atrn_all = false;
  std::optional<std::vector<std::string>> recipients = {};  ///< the provider is told them, as entries; none: nothing
  std::uint64_t max_sessions = 1000;
  std::uint64_t parallel = 1;  ///< ATRN sessions at a time; fetch_spread() is for more than one
  std::optional<Lane> lane;    ///< it is a part of a session; whoever parted it writes the session's receipts
  deliver::TargetOptions target;
  TimeoutSettings timeouts;
  std::string scratch_directory;  ///< for files without a name
  LimitSettings limits;
  std::uint64_t largest_for_now = 0;  ///< of a message, while this line is paid for; 0: any
  bool soft_bounce = false;
  std::size_t breaker = 5;
  bool keeps_deferred = false;  ///< for who gives the Books
  bool mend_stray_newlines = false;
  std::string certificate;  ///< SHA-256 of the client certificate's file; empty without one
  /// Of what is said to the provider; asked for when it refused us. May be empty: then it is not remembered.
  std::function<std::string()> fingerprint;
  std::string deliver_table = "[deliver]";  ///< of the configuration: whose target it is
  std::optional<MailboxPlan> mailbox;       ///< over POP3 or IMAP; else mail comes by ATRN, unless:
  bool only_asks = false;                   ///< mail comes some other way, once `signal` and ETRN have asked for it
  std::vector<std::string> nodes;           ///< of ETRN; empty: it is the signal alone
  std::optional<trigger::Signal> signal;    ///< sent before anything else, whatever comes behind it
};

/// What became of one session: all connections of a run to one provider.
struct SessionReport {
  std::string session;
  std::optional<std::string> provider;
  Outcome outcome = Outcome::no_mail;
  WallTime started;
  double seconds = 0;
  std::optional<std::string> tls;    ///< of the first connection
  std::optional<std::string> auth;   ///< likewise
  std::optional<std::string> reply;  ///< to the first ATRN
  std::uint64_t connections = 0;
  receive::Tally received;
  std::optional<send::FlushTally> sent;  ///< of the outbound flush, which is no provider's session
  std::string text;                      ///< why it ended so, in words; empty where the counts say it all
  Cause cause = Cause::unknown;          ///< the same as a value, as far as there is one
  std::string remedy;                    ///< what can be done about it; empty where it went well
  std::optional<WallTime> not_before;    ///< not tried, since it was refused; it would be from then on
  /// The provider holds lines for us: asked again at once, it answers when mail comes. Not so where the hold was over
  /// too soon to be one.
  bool holds = false;
  /// Mail comes some other way, if any: what was asked for, and answered, is in `text` though all went well.
  bool only_asks = false;
};

/// Who has something to say to the provider on the logged-in connection, before ATRN: outbound mail that goes that way.
class BeforeTurn {
 public:
  virtual ~BeforeTurn() = default;
  virtual bool has_something() const = 0;
  /// Errors: the connection is over.
  virtual net::Task<Result<void>> speak(client::Session& session) = 0;
};

using OnProgress = std::function<void(const receive::Tally&, std::uint64_t bytes_of_this_message)>;

/// Where a session writes down what it must not forget.
struct Books {
  FileOps& files;
  journal::Journal& journal;
  receive::BounceKeeper& bounces;
  receive::Shelf* shelf = nullptr;  ///< for mail that the target puts off; null: the provider keeps it
};

/// As far as it is known when the session begins.
SessionReport report_of_begin(const FetchPlan& plan, WallTime now);
/// That there is such a session, also where it is cut off in the middle.
net::Task<> note_begin(const SessionReport& report, journal::Journal& journal);
/// What it came to.
net::Task<> note_end(const FetchPlan& plan, const SessionReport& report, journal::Journal& journal, WallTime now);
/// What a step on the way to a logged-in conversation tells of the connection; in the log, too.
void note_reached(const FetchPlan& plan, const client::Reached& reached, journal::ConnectionReceipt& connection,
                  Log& log);
/// What a session that is over, or came to nothing, leaves behind for who asks later.
journal::SessionReceipt receipt_of_end(const SessionReport& report, WallTime now);

/// The session: local target, line, login, turn, mail; and again on a new connection while that brings mail.
/// `before_turn` may be null; it is asked once, on the first connection. `held_lines`: where it is not null, and the
/// provider can, the first ATRN waits for mail. Not so for a session that takes several ATRN, or has its time.
net::Task<SessionReport> fetch(const FetchPlan& plan, net::Network& network, const Books& books,
                               BeforeTurn* before_turn, OnProgress on_progress, Log& log, Stop& stop,
                               HeldLines* held_lines = nullptr);

}  // namespace odmr::app
