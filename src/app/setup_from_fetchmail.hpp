#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "app/fetchmailrc.hpp"
#include "app/setup.hpp"

namespace odmr::app {

/// What a fetchmailrc gives `odmr setup`.
struct FromFetchmail {
  SetupAnswers answers;
  std::set<Question> known;  ///< those that it answers
  std::optional<Secret> password;
  std::vector<std::string> notes;  ///< what was not carried over, and why; a line each
};

/// Of the entries with `protocol odmr` the one named `entry`; without a name the only one there is, skipped ones aside
/// where there are others. Errors: not_found, with the names that there are; malformed, a value that cannot be.
Result<FromFetchmail> carry_over(Fetchmailrc rc, const std::string& entry);

/// The same for a file. Errors: those of reading it too.
Result<FromFetchmail> carry_over_file(const std::string& path, const std::string& entry);

}  // namespace odmr::app
