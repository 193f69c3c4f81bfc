#pragma once

#include "app/places.hpp"
#include "app/settings.hpp"
#include "spool/lock.hpp"

namespace odmr::app {

/// Makes the state directory (make_state_dir) and takes the sole right to work on it: what a run needs, who holds it
/// may write bounces. Root makes it for the user of `run_as`, and acts as him. Errors: denied, it is somebody
/// else's; busy when another run has it; no_space also where there is hardly any left; those of the file system.
Result<spool::DirectoryLock> take_state_dir(const Settings& settings);

}  // namespace odmr::app
