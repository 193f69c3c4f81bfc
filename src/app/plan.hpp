#pragma once

#include "app/fetch.hpp"

namespace odmr::app {

/// Makes a session's plan from its settings: reads trust, certificates and secrets, which may run a configured command.
/// Error: what stands in the way, with the file it concerns.
Result<FetchPlan> plan_fetch(const Settings& settings, const ProviderSettings& provider);

/// The flush's options, secrets and trust loaded, likewise.
Result<send::FlushOptions> plan_flush(const Settings& settings);

/// A local target, likewise.
Result<deliver::TargetOptions> plan_target(const Settings& settings, const DeliverSettings& deliver);

}  // namespace odmr::app
