#pragma once

#include <string>
#include <vector>

#include "app/probe_part.hpp"
#include "cli/common_options.hpp"

namespace odmr::cli {

/// `odmr probe`.
struct ProbeOptions : CommonOptions {
  std::vector<std::string> providers;  ///< by name; all of them for none
  std::string test_mail;               ///< the recipient; empty: no message is sent
};

/// Prints a line per step. Gives the exit status.
int probe_command(const ProbeOptions& options);

/// A step as `odmr probe` prints it: a line, and where something has to be done one more that says what.
std::string in_words(const app::ProbeStep& step);
/// "provider isp, odmr.example.net:366": the line above a part's steps.
std::string heading_of(const app::ProbeStep& step);
/// The same as `--json` has it.
std::string as_json(const app::ProbeStep& step);

}  // namespace odmr::cli
