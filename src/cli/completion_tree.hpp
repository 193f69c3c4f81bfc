#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/completion.hpp"

namespace odmr::cli {

/// The hidden command "completion WHAT". WHAT is a shell, or what a script asks for.
CLI::App* add_completion(CLI::App& program, std::string& what);

/// Hidden commands and options are left out.
CompletionCommand completion_tree(const CLI::App& program);

}  // namespace odmr::cli
