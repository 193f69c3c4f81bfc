// odmr, as it is started: takes mail from local programs itself, and becomes odmr-main for everything else.

#include <sys/auxv.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "app/sendmail.hpp"
#include "base/ascii.hpp"
#include "base/outcome.hpp"
#include "base/own_program.hpp"
#include "cli/process.hpp"
#include "show/print.hpp"
#include "submit/hand_in.hpp"

namespace odmr::cli {

namespace {

using app::SendmailOptions;
using Words = std::vector<std::string>;

int complain(const std::string& name, int exit, const std::string& text) {
  show::print_line(stderr, name + ": " + escape(text, 2000));
  return exit;
}

Result<std::string> main_program() {
  auto found = own_program("odmr-main");
#ifdef ODMR_MAIN_IN_BUILD_TREE
  if (!found && access(ODMR_MAIN_IN_BUILD_TREE, X_OK) == 0) return std::string(ODMR_MAIN_IN_BUILD_TREE);
#endif
  return found;
}

// Comes back only where there is none.
int become_main(const Words& command_line) {
  const auto program = main_program();
  if (!program) return complain("odmr", exit_status(Outcome::bug), program.error().text);
  std::vector<char*> arguments;
  Words words = command_line;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  execv(program->c_str(), arguments.data());
  return complain("odmr", exit_status(Outcome::bug), *program + ": " + std::strerror(errno));
}

// "odmr -c FILE COMMAND…"
int become_main(const SendmailOptions& options, const Words& command) {
  Words words{"odmr"};
  if (!options.config.empty()) words.insert(words.end(), {"-c", options.config});
  words.insert(words.end(), command.begin(), command.end());
  return become_main(words);
}

int hold_session(const app::SendmailCall& call, const SendmailOptions& options) {
  if (options.direct) return become_main(options, {"submit", "--stdio", "--direct"});
  const auto place = app::find_submission_place(options.config);
  if (!place) return complain(call.name, place.error().exit, place.error().text);
  if (place->socket.empty()) return become_main(options, {"submit", "--stdio"});
  const auto ended = submit::pass_on(place->socket, STDIN_FILENO, STDOUT_FILENO);
  return ended ? 0 : complain(call.name, ended.error().exit, ended.error().text);
}

int submit_message(const app::SendmailCall& call, const SendmailOptions& options, const Words& command_line) {
  if (options.direct) return become_main(command_line);
  const auto place = app::find_submission_place(options.config);
  if (!place) return complain(call.name, place.error().exit, place.error().text);
  const auto sent = app::sendmail(options, *place, STDIN_FILENO, std::chrono::system_clock::now());
  return sent ? 0 : complain(call.name, sent.error().exit, sent.error().text);
}

int answer(const app::SendmailCall& call, const Words& command_line) {
  using Mode = SendmailOptions::Mode;
  const auto options = app::parse_sendmail(call.arguments, call.start);
  if (!options) return complain(call.name, EX_USAGE, options.error().text);
  switch (options->mode) {
    case Mode::submit:
      return submit_message(call, *options, command_line);
    case Mode::session:
      return hold_session(call, *options);
    case Mode::list:
      return become_main(*options, {"queue", "list", "--mailq"});
    case Mode::flush:
      return become_main(*options, {"run", "--send-only", "--retry-all"});
    case Mode::aliases:
      return 0;
    case Mode::help:
      show::print_line(stdout, app::sendmail_help(call.name));
      return 0;
    case Mode::version:
      show::print_line(stdout, "odmr " ODMR_VERSION);
      return 0;
  }
  return EX_SOFTWARE;
}

int main(int argc, char** argv) {
  // Much of what we do follows the caller's environment.
  if (getauxval(AT_SECURE) != 0) return complain("odmr", EX_NOPERM, "odmr must be neither setuid nor setgid");
  const Words command_line(argv, argv + argc);
  const auto call = app::sendmail_call(command_line);
  return call ? answer(*call, command_line) : become_main(command_line);
}

}  // namespace

}  // namespace odmr::cli

int main(int argc, char** argv) {
  odmr::cli::prepare_process();
  odmr::cli::leave(odmr::cli::guarded("odmr", odmr::cli::main, argc, argv));
}
