#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/fetch.hpp"

namespace odmr::app {

/// Who watches a run.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  /// While mail comes in from `provider`; `bytes` of the message under way.
  virtual void on_progress(const std::string& provider, const receive::Tally& tally, std::uint64_t bytes) = 0;
  /// A session has ended.
  virtual void on_session(const SessionReport& report) = 0;
};

/// `odmr run`: one session with each of the named providers (all of them for none), side by side, under the lock of the
/// state directory. SIGTERM and SIGINT end it in good order. Gives the worst outcome.
Outcome run(const Settings& settings, const std::vector<std::string>& providers, RunObserver& observer, Log& log);

/// The names among `providers` that no [provider.NAME] has.
std::vector<std::string> unknown_providers(const Settings& settings, const std::vector<std::string>& providers);

}  // namespace odmr::app
