#include "cli/completion.hpp"

#include "base/outcome.hpp"
#include "cli/process.hpp"

namespace odmr::cli {

namespace {

bool is_flag(const CLI::Option& option) {
  return option.get_items_expected_max() == 0;
}

CompletionOption read_option(const CLI::Option& option) {
  CompletionOption read;
  for (const auto& name : option.get_snames()) read.names.push_back("-" + name);
  for (const auto& name : option.get_lnames()) read.names.push_back("--" + name);
  if (!is_flag(option)) read.value = option.get_type_name();
  read.text = option.get_description();
  read.repeats = is_flag(option) && option.get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll;
  return read;
}

bool has(const CompletionCommand& command, const CompletionOption& option) {
  for (const auto& one : command.options) {
    if (one.names == option.names) return true;
  }
  return false;
}

void add_options(CompletionCommand& command, const CLI::App& app) {
  for (const auto* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    if (!option->nonpositional()) {
      command.argument = option->get_name(true);
      continue;
    }
    if (auto read = read_option(*option); !has(command, read)) command.options.push_back(std::move(read));
  }
}

CompletionCommand read_command(const CLI::App& app, const std::vector<std::string>& path,
                               const std::vector<const CLI::App*>& above) {
  CompletionCommand command;
  command.path = path;
  command.text = app.get_description();
  add_options(command, app);
  for (const auto* one : above) add_options(command, *one);
  auto ours = app.get_fallthrough() || above.empty() ? above : std::vector<const CLI::App*>();
  ours.insert(ours.begin(), &app);
  for (const auto* below : app.get_subcommands(nullptr)) {
    if (below->get_group().empty()) continue;
    auto its_path = path;
    its_path.push_back(below->get_name());
    command.commands.push_back(read_command(*below, its_path, ours));
  }
  return command;
}

void add_all(const CompletionCommand& command, std::vector<const CompletionCommand*>& to) {
  to.push_back(&command);
  for (const auto& below : command.commands) add_all(below, to);
}

}  // namespace

CLI::App* add_completion(CLI::App& program, std::string& what) {
  auto* completion = program.add_subcommand("completion", "print the completions for a shell")->group("");
  completion->add_option("WHAT", what, "bash, zsh or fish")->required();
  return completion;
}

CompletionCommand completion_tree(const CLI::App& program) {
  return read_command(program, {}, {});
}

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
    print_line(stderr, program + ": completions are there for bash, zsh and fish");
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
