#pragma once

#include "app/fetch.hpp"

namespace odmr::app {

/// Makes a session's plan from its settings: reads trust, certificates and secrets, which may run a configured command.
/// Error: what stands in the way, with the file it concerns.
Result<FetchPlan> plan_fetch(const Settings& settings, const ProviderSettings& provider);

}  // namespace odmr::app
