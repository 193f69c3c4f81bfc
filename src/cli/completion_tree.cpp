#include "cli/completion_tree.hpp"

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

}  // namespace

CLI::App* add_completion(CLI::App& program, std::string& what) {
  auto* completion = program.add_subcommand("completion", "print the completions for a shell")->group("");
  completion->add_option("WHAT", what, "bash, zsh or fish")->required();
  return completion;
}

CompletionCommand completion_tree(const CLI::App& program) {
  return read_command(program, {}, {});
}

}  // namespace odmr::cli
