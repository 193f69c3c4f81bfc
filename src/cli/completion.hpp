#pragma once

#include <string>
#include <vector>

namespace odmr::cli {

/// What a shell can offer, read off the options themselves, so that it never knows others than the program does.
struct CompletionOption {
  std::vector<std::string> names;  ///< "-c", "--config"
  std::string value;               ///< what it takes, as in --help: "FILE"; empty: nothing
  std::string text;
  bool repeats = false;
};

struct CompletionCommand {
  std::vector<std::string> path;  ///< "queue", "show"; of the program itself empty
  std::string text;
  std::vector<CompletionOption> options;  ///< those of the commands above it too, where they may stand behind it
  std::string argument;                   ///< what follows: "PROVIDER", "ID"; empty: nothing that has a name
  std::vector<std::string> words;         ///< options that it reads itself (sendmail)
  std::vector<CompletionCommand> commands;
};

/// The one at `path`; none: nullptr.
CompletionCommand* command_at(CompletionCommand& tree, const std::vector<std::string>& path);

std::string bash_completion(const std::string& program, const CompletionCommand& tree);
std::string zsh_completion(const std::string& program, const CompletionCommand& tree);
std::string fish_completion(const std::string& program, const CompletionCommand& tree);

/// Prints the script for the shell `what`, and gives the exit status.
int print_completion(const std::string& program, const CompletionCommand& tree, const std::string& what);

// What the three have in common.

/// Every command below `tree`, itself first.
std::vector<const CompletionCommand*> all_commands(const CompletionCommand& tree);
std::string joined(const std::vector<std::string>& words, const std::string& between);
/// Each "@NAME@" in `text` by its value.
std::string filled(std::string text, const std::vector<std::pair<std::string, std::string>>& values);
/// 'text', as a word of any of the three shells.
std::string shell_word(const std::string& text);
/// What an argument or a value is: the name of a provider; that of a file.
bool is_provider(const std::string& kind);
bool is_file(const std::string& kind);

}  // namespace odmr::cli
