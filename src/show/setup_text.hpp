#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/probe_part.hpp"
#include "app/setup_files.hpp"

namespace odmr::show {

/// What `odmr setup` has come to.
struct SetupReport {
  std::vector<std::string> faults;  ///< why nothing was written
  app::SetupWritten written;
  std::string deliver;             ///< where received mail goes
  std::vector<std::string> notes;  ///< what was not carried over
  std::vector<app::ProbeStep> steps;
  std::optional<Outcome> outcome;  ///< of the probe; none where there was none
  std::string command;             ///< that switches it on
};

/// As `--json` has it: one object.
std::string as_json(const SetupReport& report);

/// What was written, a line each.
std::vector<std::string> in_words(const app::SetupWritten& written);

}  // namespace odmr::show
