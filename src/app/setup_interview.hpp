#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/local_targets.hpp"
#include "app/setup.hpp"
#include "base/secret.hpp"

namespace odmr::app {

/// Whom `odmr setup` asks.
class Terminal {
 public:
  virtual ~Terminal() = default;
  virtual void say(const std::string& line) = 0;
  /// Errors: closed, there are no more answers; interrupted, by Ctrl-C.
  virtual Result<std::string> ask(const std::string& question) = 0;
  /// The same for a password, which does not appear.
  virtual Result<Secret> ask_unseen(const std::string& question) = 0;
};

/// What is known before anybody is asked.
struct Briefing {
  SetupAnswers answers;        ///< proposals, or, where `settled`, answers
  std::set<Question> settled;  ///< not asked
  std::string likely_domain;
  std::vector<LocalTarget> targets;
  std::optional<Secret> password;
  std::function<Result<std::string>(const std::string& to)> greeting_of;
};

struct Interview {
  SetupAnswers answers;
  Secret password;  ///< empty where there is a password_file already
};

/// Asks what is not settled, one question after the other; Enter takes what stands in brackets. An answer that cannot
/// be is explained, and asked for again. Errors: those of the terminal.
Result<Interview> hold_interview(Briefing briefing, Terminal& terminal);

/// Whether a smart host seems to be the provider's own: who else has its name below the same domain? Both as they stand
/// in the answers. Addresses are compared as they are.
bool is_of_provider(const std::string& smart_host, const std::string& provider);

/// Yes or no, Enter for `otherwise`. Errors: those of the terminal.
Result<bool> ask_yes_or_no(Terminal& terminal, const std::string& question, bool otherwise);

}  // namespace odmr::app
