#pragma once

#include <string>
#include <vector>

#include "app/session_account.hpp"

namespace odmr::app {

/// Who watches a run.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  /// While mail comes in from `provider`; `bytes` of the message under way.
  virtual void on_receiving(const std::string& provider, const receive::Tally& tally, std::uint64_t bytes) = 0;
  /// While mail goes out.
  virtual void on_sending(const send::FlushTally& tally) = 0;
  /// A session, or the outbound flush, has ended.
  virtual void on_session(const SessionReport& report) = 0;
  /// Every minute, as long as the run's loop turns.
  virtual void on_life() {}
  /// In place of that: the run merely waits for mail, on lines that are held (XHOLD). Also when it begins to; on_life()
  /// says that it does so no longer.
  virtual void on_waiting() {}
};

struct RunOptions {
  std::vector<std::string> providers;  ///< by name; all of them for none
  bool receive_only = false;
  bool send_only = false;
  bool retry_all = false;      ///< send also what is not due yet
  bool force = false;          ///< try also a provider that refused us a moment ago
  bool is_supervised = false;  ///< by `odmr watch`
  bool stays = false;          ///< may wait for mail on lines that are held; watch::k_enough ends that
};

/// `odmr run`: one session with each provider, and the outbound queue flushed, side by side unless [outbound] order
/// says otherwise, under the lock of the state directory. SIGTERM and SIGINT end it in good order. Gives the worst
/// outcome.
Outcome run(const Settings& settings, const RunOptions& options, RunObserver& observer, Log& log);

/// The names among `providers` that no [provider.NAME] has.
std::vector<std::string> unknown_providers(const Settings& settings, const std::vector<std::string>& providers);

}  // namespace odmr::app
