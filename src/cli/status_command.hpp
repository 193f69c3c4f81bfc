#pragma once

#include <optional>
#include <string>

#include "cli/options.hpp"

namespace odmr::cli {

/// `odmr status`.
struct StatusOptions : CommonOptions {
  std::string session;  ///< whose receipt is to be printed; empty: how it stands with each provider
  std::string max_age;  ///< as written; empty: whatever
  std::string metrics;  ///< a file to write, "-" for stdout; empty: none
};

/// Gives the exit status: 0; 75 where the last good session of a provider is older than `max_age`; 66 for a session
/// that the journal does not have, 64 for one that is not clear; 73, 78.
int status_command(const StatusOptions& options);

}  // namespace odmr::cli
