#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/run.hpp"
#include "base/outcome.hpp"
#include "watch/report.hpp"

namespace odmr::app {

struct WatchOptions {
  std::string config;                  ///< --config
  std::vector<std::string> providers;  ///< by name; all of them for none
  bool force = false;                  ///< the first run tries also who refused us a moment ago
};

/// What `odmr watch` shows, and how a run of it comes about.
class WatchFront {
 public:
  virtual ~WatchFront() = default;
  /// In a process of its own: a run as `odmr run` does it, shown likewise. Gives its exit status, whatever happens.
  virtual int run(const Settings& settings, const RunOptions& options,
                  const std::function<void(const watch::Report&)>& tell) = 0;
  /// A session that came to nothing, since its run died.
  virtual void show(const SessionReport& report) = 0;
  /// Why a configuration that was read again is not taken.
  virtual void show_faults(const std::vector<std::string>& faults) = 0;
};

/// How a session ended, as who plans the next one needs to know it.
watch::Ending ending_of(const SessionReport& report, WallTime now);

/// `odmr watch`: runs, again and again (watch::Supervisor), until a signal asks for the end. `settings` are read
/// already, with good names of providers. Two at the same state directory do not go together. Errors, all before the
/// first run: busy, there is one; those of the state directory.
Result<void> watch(Settings settings, const WatchOptions& options, WatchFront& front, Log& log);

}  // namespace odmr::app
