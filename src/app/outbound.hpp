#pragma once

#include <memory>
#include <optional>
#include <string>

#include "app/fetch.hpp"
#include "app/keyring.hpp"
#include "app/remedy.hpp"
#include "app/settings.hpp"
#include "net/worker.hpp"
#include "queue/queue.hpp"
#include "send/flush.hpp"

namespace odmr::app {

/// Messages that wait in the queue of the state directory; 0 too where there is none. For a run without [outbound].
std::uint64_t count_waiting(const Settings& settings);
/// Messages of which a sender has still to be told that they came to nothing; as above.
std::uint64_t count_untold(const Settings& settings);

/// The outbound half of a run: the queue goes out through the smart host, or over a provider's connection, and what
/// came to nothing is told to its senders. Its parts run one after the other; each may be called again, and what they
/// come to is summed up in one report.
class Outbound final : public BeforeTurn {
 public:
  using OnProgress = std::function<void(const send::FlushTally&)>;

  /// For settings with [outbound]. `all`: also what is not due yet. The lock of the state directory is the caller's
  /// business, and that all of this outlives the tasks.
  Outbound(const Settings& settings, bool all, Keyring& keyring, net::Network& network, net::Worker& disk,
           OnProgress on_progress, Log& log, Stop& stop);
  ~Outbound() override;

  /// Opens and repairs the queue. False: report() says why. What sending needs (secrets, trust) is loaded when there is
  /// something to send.
  net::Task<bool> prepare();

  /// The line may still be coming up until then (client::Server::line_due).
  void expect_line(TimePoint due) { line_due_ = due; }

  /// Sends what is due to the smart host; nothing where the provider is the way out.
  net::Task<> send();

  /// Whether mail goes out over this provider's connection, before ATRN.
  bool goes_over(const std::string& provider) const;
  bool has_something() const override;
  net::Task<Result<void>> speak(client::Session& session) override;
  /// The same on a connection without ATRN: where the provider is not asked for mail, or cannot be.
  net::Task<> speak_alone(const FetchPlan& plan);
  /// What was meant for the provider's connection waits, since there was none.
  net::Task<> not_reached(Outcome outcome, Cause cause, const std::string& why);

  /// Bounces of mail received in this run, and whatever was submitted since: send() again.
  net::Task<> send_what_came_meanwhile();

  /// Bounces, and notices of delay, to the local target.
  net::Task<> tell_senders();
  /// Last of all: says what is in the queue that no run can do anything about.
  net::Task<> say_what_is_stuck();

  /// No value when there was nothing to send.
  std::optional<SessionReport> report() const;
  /// The same, for the journal.
  std::optional<journal::FlushReceipt> receipt() const;

 private:
  Result<void> open_and_look();
  Result<void> look();
  net::Task<bool> load();
  void begin_budget();
  net::Task<> cannot_send(Outcome outcome, Cause cause, const std::string& why);
  Result<void> warn_of_what_stays();
  send::FlushTally& sent();
  OnProgress shown();
  void add(const send::FlushReport& flushed);
  void end(Outcome outcome, const std::string& text, Cause cause = Cause::unknown);
  void end_for(const Error& error);
  Scene scene() const;

  const Settings& settings_;
  const OutboundSettings& outbound_;
  Keyring& keyring_;
  net::Network& network_;
  net::Worker& disk_;
  OnProgress on_progress_;
  const bool all_;
  const TimePoint begun_;
  SessionReport report_;
  ScopedLog log_;
  Stop& stop_;
  std::optional<send::FlushOptions> options_;
  std::optional<WallTime> certificate_until_;  // the smart host's
  std::optional<queue::Queue> queue_;
  TimePoint line_due_ = TimePoint::min();
  bool has_due_ = false;
  bool has_spoken_ = false;
};

}  // namespace odmr::app
