#pragma once

#include <sys/types.h>

#include <cstdint>

#include "app/places.hpp"
#include "app/remedy.hpp"
#include "app/settings.hpp"
#include "spool/lock.hpp"

namespace odmr::app {

/// Whether a directory of this mode is none to work in: anybody may put something in the place of what is there. With
/// the sticky bit (a tmpfs as it is mounted) he may not.
bool is_open_to_others(mode_t mode);

/// What a remedy has to name where the state directory is at fault.
Scene scene_of_state(const Settings& settings);

/// Free space without which nothing is begun: what a bounce record may need (receive::BounceRecord), and more.
inline constexpr std::uint64_t k_least_space = std::uint64_t{128} * 1024;

/// Makes the state directory (make_state_dir) and takes the sole right to work on it: what a run needs, who holds it
/// may write bounces. Root makes it for the user of `run_as`, and acts as him. Errors: denied, it is somebody
/// else's; busy when another run has it; no_space also where there is hardly any left; those of the file system.
Result<spool::DirectoryLock> take_state_dir(const Settings& settings);

}  // namespace odmr::app
