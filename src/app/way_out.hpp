#pragma once

#include <memory>

#include "app/provider_settings.hpp"
#include "provider/relay.hpp"

namespace odmr::app {

/// The way out of what odmrd has to send, as [outbound] has it; null where there is no such table. Runs its
/// password_command, unless there is a way out `before`: who is shut in can run none, and keeps the password. Errors:
/// the secret, or what TLS wants, cannot be used.
Result<std::shared_ptr<const provider::WayOut>> way_out_of(const DaemonSettings& settings,
                                                           const provider::WayOut* before = nullptr);

}  // namespace odmr::app
