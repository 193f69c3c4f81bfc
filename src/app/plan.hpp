#pragma once

#include "app/fetch.hpp"

namespace odmr::app {

/// Makes a session's plan from its settings: reads trust, certificates and secrets, which may run a configured command.
/// Error: what stands in the way, with the file it concerns.
Result<FetchPlan> plan_fetch(const Settings& settings, const ProviderSettings& provider);

/// The part of it that can be tried without running anything: what `odmr check` adds to the reader's own faults.
/// One line each.
std::vector<std::string> faults_of_files(const Settings& settings);

}  // namespace odmr::app
