#include "cli/completion.hpp"

#include "base/outcome.hpp"
#include "show/print.hpp"

namespace odmr::cli {

namespace {

void add_all(const CompletionCommand& command, std::vector<const CompletionCommand*>& to) {
  to.push_back(&command);
  for (const auto& below : command.commands) add_all(below, to);
}

}  // namespace

CompletionCommand* command_at(CompletionCommand& tree, const std::vector<std::string>& path) {
  if (tree.path == path) return &tree;
  for (auto& below : tree.commands) {
    if (auto* found = command_at(below, path)) return found;
  }
  return nullptr;
}

int print_completion(const std::string& program, const CompletionCommand& tree, const std::string& what) {
  std::string script;
  if (what == "bash") script = bash_completion(program, tree);
  if (what == "zsh") script = zsh_completion(program, tree);
  if (what == "fish") script = fish_completion(program, tree);
  if (script.empty()) {
    show::print_line(stderr, program + ": completions are there for bash, zsh and fish");
    return k_exit_usage;
  }
  std::fputs(script.c_str(), stdout);
  return 0;
}

std::vector<const CompletionCommand*> all_commands(const CompletionCommand& tree) {
  std::vector<const CompletionCommand*> all;
  add_all(tree, all);
  return all;
}

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::string filled(std::string text, const std::vector<std::pair<std::string, std::string>>& values) {
  for (const auto& [name, value] : values) {
    const std::string mark = "@" + name + "@";
    for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size())) {
      text.replace(at, mark.size(), value);
    }
  }
  return text;
}

std::string shell_word(const std::string& text) {
  // The string ends, a quote follows, and another string begins. (No text of ours has a backslash, which fish would
  // read otherwise than the other two.)
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

bool is_provider(const std::string& kind) {
  return kind == "PROVIDER" || kind == "NAME";
}

bool is_file(const std::string& kind) {
  return kind == "FILE" || kind == "TRANSCRIPT";
}

}  // namespace odmr::cli
