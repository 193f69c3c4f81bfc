#include "cli/completion.hpp"

#include <algorithm>

namespace odmr::cli {

namespace {

constexpr const char* k_script = R"script(# Completion of @NAME@ for bash, made from its options: @NAME@ completion bash

_@NAME@_offer() {
    local word
    while IFS= read -r word; do
        [[ $word == "$current"* ]] && COMPREPLY+=("$word")
    done
}

_@NAME@_files() {
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    compopt -o filenames 2>/dev/null
}

_@NAME@_providers() { "${COMP_WORDS[0]}" "${configuration[@]}" completion providers 2>/dev/null </dev/null; }

# Of what a command lists.
_@NAME@_ids() {
    "${COMP_WORDS[0]}" "${configuration[@]}" "$1" --json 2>/dev/null </dev/null | sed -n 's/^{"id":"\([^"]*\)".*/\1/p'
}

_@NAME@() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command= word at
    local -a configuration=()
    COMPREPLY=()
    # readline makes three words of "--config=FILE".
    [[ $current == = ]] && current=
    [[ $previous == = ]] && previous=${COMP_WORDS[COMP_CWORD - 2]}
    for ((at = 1; at < COMP_CWORD; ++at)); do
        word=${COMP_WORDS[at]}
        case $word in
        @VALUED@)
            ((++at))
            [[ ${COMP_WORDS[at]} == = ]] && ((++at))
            [[ $word == -c || $word == --config ]] && ((at < COMP_CWORD)) && configuration=(-c "${COMP_WORDS[at]}")
            continue
            ;;
        esac
        case $command:$word in
@STEPS@        esac
    done
    case $previous in
@VALUES@    esac
    case $command in
@COMMANDS@    esac
}

complete -F _@NAME@ @NAME@
)script";

std::string value_case(const std::string& program, const CompletionOption& option) {
  const std::string names = joined(option.names, " | ");
  if (is_file(option.value)) return "    " + names + ")\n        _" + program + "_files\n        return\n        ;;\n";
  if (is_provider(option.value)) {
    return "    " + names + ")\n        _" + program + "_offer < <(_" + program +
           "_providers)\n        return\n        ;;\n";
  }
  return "    " + names + ") return ;;\n";
}

std::string argument_case(const std::string& program, const CompletionCommand& command) {
  if (is_provider(command.argument)) return "_" + program + "_offer < <(_" + program + "_providers)";
  if (is_file(command.argument)) return "_" + program + "_files";
  if (command.argument == "ID") {
    return "_" + program + "_offer < <(_" + program + "_ids " + command.path.front() + ")";
  }
  return ":";
}

std::string command_case(const std::string& program, const CompletionCommand& command) {
  std::vector<std::string> options = command.words;
  for (const auto& option : command.options) options.insert(options.end(), option.names.begin(), option.names.end());
  std::vector<std::string> names;
  for (const auto& below : command.commands) names.push_back(below.path.back());
  const std::string offer = "_" + program + "_offer < <(printf '%s\\n' ";
  return "    " + shell_word(joined(command.path, " ")) + ")\n        if [[ $current == -* ]]; then\n            " +
         offer + joined(options, " ") + ")\n        else\n            " +
         (names.empty() ? argument_case(program, command) : offer + joined(names, " ") + ")") +
         "\n        fi\n        ;;\n";
}

}  // namespace

std::string bash_completion(const std::string& program, const CompletionCommand& tree) {
  std::string steps;
  std::string values;
  std::string commands;
  std::vector<std::string> valued;
  for (const auto* command : all_commands(tree)) {
    commands += command_case(program, *command);
    for (const auto& below : command->commands) {
      steps += "        " + shell_word(joined(command->path, " ") + ":" + below.path.back()) +
               ") command=" + shell_word(joined(below.path, " ")) + " ;;\n";
    }
    for (const auto& option : command->options) {
      if (option.value.empty()) continue;
      const std::string names = joined(option.names, " | ");
      if (std::find(valued.begin(), valued.end(), names) != valued.end()) continue;
      valued.push_back(names);
      values += value_case(program, option);
    }
  }
  return filled(k_script, {{"VALUED", joined(valued, " | ")},
                           {"STEPS", steps},
                           {"VALUES", values},
                           {"COMMANDS", commands},
                           {"NAME", program}});
}

}  // namespace odmr::cli
