#include "cli/completion.hpp"

namespace odmr::cli {

namespace {

constexpr const char* k_script = R"script(#compdef @NAME@
# Completion of @NAME@ for zsh, made from its options: @NAME@ completion zsh

_@NAME@_call() {
  local file=${opt_args[-c]:-${opt_args[--config]:-$configuration}}
  _call_program @NAME@ @NAME@ ${file:+-c $file} $* 2>/dev/null </dev/null
}

_@NAME@_providers() {
  local -a names=(${(f)"$(_@NAME@_call completion providers)"})
  compadd -a names
}

# Of what a command lists.
_@NAME@_ids() {
  local -a ids=(${(f)"$(_@NAME@_call $1 --json | sed -n 's/^{"id":"\([^"]*\)".*/\1/p')"})
  compadd -a ids
}

@FUNCTIONS@_@NAME@ "$@"
)script";

// Inside "[…]" and before ":" of a specification for _arguments.
std::string plain(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string action(const std::string& program, const std::string& kind, const CompletionCommand& command) {
  if (is_file(kind)) return "_files";
  if (is_provider(kind)) return "_" + program + "_providers";
  if (kind == "ID" && kind == command.argument) return "{_" + program + "_ids " + command.path.front() + "}";
  return " ";
}

// '(-c --config)'{-c+,--config=}'[text]:FILE:_files'
std::string specification(const std::string& program, const CompletionCommand& command,
                          const CompletionOption& option) {
  std::vector<std::string> names;
  for (const auto& name : option.names) {
    const bool is_word = name.starts_with("--");
    names.push_back(option.value.empty() ? name : name + (is_word ? "=" : "+"));
  }
  const std::string shut = option.repeats ? "*" : "(" + joined(option.names, " ") + ")";
  std::string text = "[" + plain(option.text) + "]";
  if (!option.value.empty()) text += ":" + option.value + ":" + action(program, option.value, command);
  return shell_word(shut) + (names.size() == 1 ? names.front() : "{" + joined(names, ",") + "}") + shell_word(text);
}

std::string function_name(const std::string& program, const CompletionCommand& command) {
  return "_" + program + (command.path.empty() ? "" : "_" + joined(command.path, "_") + "_command");
}

std::string below_of(const std::string& program, const CompletionCommand& command) {
  std::string text = "  case $state in\n  command)\n    local -a commands=(\n";
  for (const auto& below : command.commands) {
    text += "      " + shell_word(below.path.back() + ":" + plain(below.text)) + "\n";
  }
  text += "    )\n    _describe command commands\n    ;;\n  rest)\n    case $line[1] in\n";
  for (const auto& below : command.commands) {
    text += "    " + below.path.back() + ") " + function_name(program, below) + " ;;\n";
  }
  return text + "    esac\n    ;;\n  esac\n";
}

std::string function(const std::string& program, const CompletionCommand& command) {
  std::string text = function_name(program, command) + "() {\n";
  if (!command.words.empty()) return text + "  compadd -- " + joined(command.words, " ") + "\n}\n\n";
  const bool has_commands = !command.commands.empty();
  if (has_commands) text += "  local curcontext=$curcontext state state_descr line\n";
  if (command.path.empty()) text += "  typeset -A opt_args\n  local configuration\n";
  text += std::string("  _arguments -s -S") + (has_commands ? " -C" : "");
  for (const auto& option : command.options) text += " \\\n    " + specification(program, command, option);
  if (has_commands) {
    text += " \\\n    '1: :->command' '*:: :->rest'\n";
    // What stood before the command, which the functions below forget.
    text += "  configuration=${opt_args[-c]:-${opt_args[--config]:-$configuration}}\n" + below_of(program, command);
  } else if (!command.argument.empty()) {
    text += " \\\n    " + shell_word("*:" + command.argument + ":" + action(program, command.argument, command)) + "\n";
  } else {
    text += "\n";
  }
  return text + "}\n\n";
}

}  // namespace

std::string zsh_completion(const std::string& program, const CompletionCommand& tree) {
  std::string functions;
  for (const auto* command : all_commands(tree)) functions += function(program, *command);
  return filled(k_script, {{"FUNCTIONS", functions}, {"NAME", program}});
}

}  // namespace odmr::cli
