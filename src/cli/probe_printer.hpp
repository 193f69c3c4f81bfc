#pragma once

#include <string>

#include "app/probe_part.hpp"
#include "cli/options.hpp"

namespace odmr::cli {

/// Prints the steps of a probe as they come, each part under its heading; with -q only what is wrong. On a terminal the
/// step that is waited for stands below them until it has come.
class ProbePrinter {
 public:
  explicit ProbePrinter(const CommonOptions& options);
  void print(const app::ProbeStep& step);
  /// Nothing is waited for any more.
  void end();

 private:
  const CommonOptions& options_;
  bool shows_next_;
  bool is_next_shown_ = false;
  std::string heading_;
};

}  // namespace odmr::cli
