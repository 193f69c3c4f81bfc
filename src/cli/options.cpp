#include "cli/options.hpp"

#include <algorithm>

namespace odmr::cli {

Level log_level(const CommonOptions& options, Level configured) {
  if (options.verbose >= 2) return Level::trace;
  if (options.verbose == 1) return std::max(configured, Level::debug);
  return options.quiet ? Level::error : configured;
}

}  // namespace odmr::cli
