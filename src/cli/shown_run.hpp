#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/run.hpp"
#include "cli/options.hpp"

namespace odmr::cli {

/// Prints a session, or the outbound flush, as the options want it: JSON, words, or nothing while all is well.
void show_report(const CommonOptions& options, const app::SessionReport& report);

/// A run that is shown so, with its progress and its log on stderr. Gives the exit status. `also` hears what the
/// terminal hears; it may be null.
int run_shown(const CommonOptions& options, const app::Settings& settings, const app::RunOptions& run,
              app::RunObserver* also = nullptr);

/// A configuration that no run can be made of: its faults on stderr, and the object for `--json`. Gives the exit
/// status.
int report_faults(const CommonOptions& options, const std::vector<std::string>& faults);

/// Whether the configuration has all these providers; those that it has not are said on stderr.
bool are_known(const app::Settings& settings, const std::vector<std::string>& providers);

}  // namespace odmr::cli
