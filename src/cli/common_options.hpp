#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "base/log.hpp"

namespace odmr::cli {

/// What both programs take, before the subcommand or behind it.
struct CommonOptions {
  std::string config;
  int verbose = 0;
  bool quiet = false;
  bool json = false;
};

void add_common(CLI::App& program, CommonOptions& options);

/// The configured level as -v and -q change it.
Level log_level(const CommonOptions& options, Level configured);

/// Parses, and gives what the program has to exit with at once: 0 after --help, 64 after a mistake (its text is printed
/// then). No value: go on.
std::optional<int> parse(CLI::App& program, int argc, char** argv);

}  // namespace odmr::cli
