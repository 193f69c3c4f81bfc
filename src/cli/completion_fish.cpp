#include "cli/completion.hpp"

#include <algorithm>

namespace odmr::cli {

namespace {

constexpr const char* k_script = R"script(# Completion of @NAME@ for fish, made from its options: @NAME@ completion fish

# The command so far: "queue show".
function __@NAME@_command
    set -l words (commandline -opc)
    set -l command
    set -l is_value 0
    for word in $words[2..-1]
        if test $is_value = 1
            set is_value 0
            continue
        end
        switch $word
            case @VALUED@
                set is_value 1
                continue
        end
        switch "$command:$word"
@STEPS@        end
    end
    echo $command
end

function __@NAME@_is
    test (__@NAME@_command)"" = "$argv"
end

# The program as it is called, with its configuration.
function __@NAME@_call
    set -l words (commandline -opc)
    set -l file
    for at in (seq 2 (math (count $words) - 1))
        contains -- $words[$at] -c --config; and set file -c $words[(math $at + 1)]
    end
    $words[1] $file $argv 2>/dev/null </dev/null
end

function __@NAME@_ids
    __@NAME@_call $argv --json | string replace -rf '^\{"id":"([^"]*)".*' '$1'
end

complete -c @NAME@ -f
@COMMANDS@)script";

std::string option_line(const std::string& start, const CompletionOption& option) {
  std::string line = start;
  for (const auto& name : option.names) {
    line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  if (is_file(option.value)) {
    line += " -r -F";
  } else if (is_provider(option.value)) {
    line += " -x -a '(__@NAME@_call completion providers)'";
  } else if (!option.value.empty()) {
    line += " -x";
  }
  return line + " -d " + shell_word(option.text) + "\n";
}

std::string lines_of(const CompletionCommand& command) {
  const std::string start = "complete -c @NAME@ -n " + shell_word("__@NAME@_is " + joined(command.path, " "));
  std::string lines;
  for (const auto& option : command.options) lines += option_line(start, option);
  for (const auto& below : command.commands) {
    lines += start + " -a " + below.path.back() + " -d " + shell_word(below.text) + "\n";
  }
  if (!command.words.empty()) lines += start + " -a " + shell_word(joined(command.words, " ")) + "\n";
  if (is_provider(command.argument)) lines += start + " -a '(__@NAME@_call completion providers)'\n";
  if (is_file(command.argument)) lines += start + " -F\n";
  if (command.argument == "ID")
    lines += start + " -a " + shell_word("(__@NAME@_ids " + command.path.front() + ")") + "\n";
  return lines;
}

}  // namespace

std::string fish_completion(const std::string& program, const CompletionCommand& tree) {
  std::string steps;
  std::string commands;
  std::vector<std::string> valued;
  for (const auto* command : all_commands(tree)) {
    commands += lines_of(*command);
    for (const auto& below : command->commands) {
      steps += "            case " + shell_word(joined(command->path, " ") + ":" + below.path.back()) +
               "\n                set command " + shell_word(joined(below.path, " ")) + "\n";
    }
    for (const auto& option : command->options) {
      if (option.value.empty()) continue;
      for (const auto& name : option.names) {
        if (std::find(valued.begin(), valued.end(), name) == valued.end()) valued.push_back(name);
      }
    }
  }
  return filled(k_script,
                {{"VALUED", joined(valued, " ")}, {"STEPS", steps}, {"COMMANDS", commands}, {"NAME", program}});
}

}  // namespace odmr::cli
