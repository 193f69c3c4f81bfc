#pragma once

#include <string>

#include "cli/common_options.hpp"

namespace odmr::cli {

/// `odmr probe`.
struct ProbeOptions : CommonOptions {
  std::string test_mail;  ///< the recipient
};

/// Prints a line per step. Gives the exit status.
int probe_command(const ProbeOptions& options);

}  // namespace odmr::cli
