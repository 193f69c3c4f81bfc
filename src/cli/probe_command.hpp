#pragma once

#include <string>
#include <vector>

#include "cli/options.hpp"

namespace odmr::cli {

/// `odmr probe`.
struct ProbeOptions : CommonOptions {
  std::vector<std::string> providers;  ///< by name; all of them for none
  std::string test_mail;               ///< the recipient; empty: no message is sent
};

/// Prints a line per step. Gives the exit status.
int probe_command(const ProbeOptions& options);

}  // namespace odmr::cli
