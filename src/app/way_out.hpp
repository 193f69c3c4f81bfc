#pragma once

#include <memory>

#include "app/provider_settings.hpp"
#include "confine/helper.hpp"
#include "net/program.hpp"
#include "provider/relay.hpp"

namespace odmr::app {

/// The way out of what odmrd has to send, as [outbound] has it; null where there is no such table. Runs its
/// password_command, unless there is a way out `before`: who is shut in can run none, and keeps the password. Errors:
/// the secret, or what TLS wants, cannot be used; the program is none that the `helper` knows.
Result<std::shared_ptr<const provider::WayOut>> way_out_of(const DaemonSettings& settings,
                                                           const confine::Helper& helper,
                                                           const provider::WayOut* before = nullptr);

/// The program of [outbound], if there is one.
std::vector<confine::Command> commands_of(const DaemonSettings& settings);
/// Has the helper begin it, which has to outlive this.
net::BeginProgram begin_program_by(const confine::Helper& helper);

}  // namespace odmr::app
