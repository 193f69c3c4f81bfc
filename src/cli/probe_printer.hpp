#pragma once

#include <string>

#include "app/probe_part.hpp"
#include "cli/options.hpp"

namespace odmr::cli {

/// Prints the steps of a probe as they come, each part under its heading; with -q only what is wrong.
class ProbePrinter {
 public:
  explicit ProbePrinter(const CommonOptions& options) : options_(options) {}
  void print(const app::ProbeStep& step);

 private:
  const CommonOptions& options_;
  std::string heading_;
};

}  // namespace odmr::cli
