#pragma once

#include "app/watch.hpp"
#include "cli/options.hpp"

namespace odmr::cli {

struct WatchCommandOptions : CommonOptions {
  app::WatchOptions watch;
};

/// `odmr watch`. Gives the exit status, which is 0 when a signal asked for the end.
int watch_command(const WatchCommandOptions& options);

}  // namespace odmr::cli
