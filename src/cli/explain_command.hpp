#pragma once

#include <string>

#include "cli/options.hpp"

namespace odmr::cli {

/// `odmr explain`.
struct ExplainOptions : CommonOptions {
  std::string transcript;  ///< a file, or "-"
};

/// Prints what a stored trace tells of each session in it. Gives the exit status.
int explain_command(const ExplainOptions& options);

}  // namespace odmr::cli
