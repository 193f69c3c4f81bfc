#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/provider_settings.hpp"
#include "app/settings.hpp"
#include "confine/confinement.hpp"
#include "confine/helper.hpp"

namespace odmr::app {

/// What `odmr run` may touch once it has shut itself in: the state directory, Maildirs, what names and certificates
/// are looked up in, and the ports of the servers it is configured for.
confine::Rules rules_for_run(const Settings& settings);
/// `odmr submit`, whose sockets `removable` are: the state directory, or the smart host where nothing is stored.
confine::Rules rules_for_submit(const Settings& settings, bool direct, const std::vector<std::string>& sockets);
/// `odmr probe --test-mail`: nothing but the way out.
confine::Rules rules_for_test_mail(const Settings& settings);
/// `odmrd serve`: the spool.
confine::Rules rules_for_serve(const DaemonSettings& settings);

/// The commands that a run may start after it has shut itself in.
std::vector<confine::Command> commands_of(const Settings& settings);

/// Makes the Maildirs where they are missing: what is not there cannot be allowed. What cannot be made shows when it is
/// wanted.
void make_maildirs(const Settings& settings);

/// As root: becomes the user of `run_as`, for good. One line says where root stays root, or where `run_as` names
/// somebody we cannot become. Errors: those of confine::become().
Result<void> become_configured(const std::optional<confine::User>& run_as, Log& log);

/// Shuts the process in. One line says where the kernel cannot; that is no reason not to work.
void shut_in(const confine::Rules& rules, Log& log);

}  // namespace odmr::app
