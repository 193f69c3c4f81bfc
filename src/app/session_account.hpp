#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "app/fetch_plan.hpp"
#include "app/remedy.hpp"
#include "base/log.hpp"
#include "base/outcome.hpp"
#include "client/open.hpp"
#include "journal/journal.hpp"
#include "receive/tally.hpp"
#include "send/flush.hpp"

namespace odmr::app {

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

/// What a session with a provider, of whatever kind, tells of itself while it goes on: its report, its log, and in the
/// journal the receipts of the session and of each of its connections.
class SessionAccount {
 public:
  /// All of it must outlive the account. Of a lane the session's own receipts are left to whoever parted it.
  SessionAccount(const FetchPlan& plan, Clock& clock, journal::Journal& journal, Log& log);
  SessionAccount(const SessionAccount&) = delete;
  SessionAccount& operator=(const SessionAccount&) = delete;

  SessionReport& report() { return report_; }
  /// The connection in hand.
  journal::ConnectionReceipt& connection() { return connection_; }
  Log& log() { return log_; }

  /// That there is such a session, also where it is cut off in the middle.
  net::Task<> begin();
  /// The worst outcome counts, and of those that are equal the first that has something to say.
  void end(Outcome outcome, Cause cause, const std::string& text);
  void end_stopped() { end(Outcome::unavailable, Cause::stopped, "stopped by a signal"); }
  /// How long it took, what can be done about how it ended, and its receipt. `port`: of a provider that is to speak
  /// ODMR (Scene::port).
  net::Task<SessionReport> conclude(std::uint16_t port = k_odmr_port);

  void begin_connection();
  /// As far as it is known.
  void note_connection() { journal_.note(connection_); }
  void connection_over(const std::string& how);
  /// A connection, or what was to be done over it, came to nothing.
  void connection_failed(const client::OpenFailure& failure);
  /// Tells the receipt of the connection, and the log, what client::open() and its like have reached.
  const client::OnStep& on_step() const { return on_step_; }
  /// One connection is over, and the next begins.
  const client::OnNextHost& on_next_host() const { return on_next_host_; }

 private:
  void reached(const client::Reached& reached);
  void add_remedy(std::uint16_t port);
  net::Task<> note_end();

  const FetchPlan& plan_;
  Clock& clock_;
  journal::Journal& journal_;
  ScopedLog log_;
  const TimePoint begun_;
  SessionReport report_;
  journal::ConnectionReceipt connection_;
  const client::OnStep on_step_;
  const client::OnNextHost on_next_host_;
};

/// What a session that is over, or came to nothing, leaves behind for who asks later.
journal::SessionReceipt receipt_of_end(const SessionReport& report, WallTime now);

}  // namespace odmr::app
