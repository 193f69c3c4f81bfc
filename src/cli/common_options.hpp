#pragma once

#include <CLI/CLI.hpp>
#include <optional>

#include "cli/options.hpp"

namespace odmr::cli {

/// Those options, on `program`.
void add_common(CLI::App& program, CommonOptions& options);

/// Parses, and gives what the program has to exit with at once: 0 after --help, 64 after a mistake (its text is printed
/// then). No value: go on.
std::optional<int> parse(CLI::App& program, int argc, char** argv);

}  // namespace odmr::cli
