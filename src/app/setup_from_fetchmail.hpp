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
  std::vector<FurtherSecret> secrets;  ///< of answers.further
  std::vector<std::string> notes;      ///< what was not carried over, and why; a line each
};

/// Of the entries with `protocol odmr` the only one there is, skipped ones aside where there are others; and each with
/// POP3, IMAP or ETRN. With `entry` only those that have that name, or user. Errors: not_found, with the names that
/// there are, or why none can be carried over; malformed, a value that cannot be.
Result<FromFetchmail> carry_over(Fetchmailrc rc, const std::string& entry);

/// What odmr has in place of an option of fetchmail's that is not carried over, in words.
std::string advice_on(const std::string& option);
/// The same for an option in the entry of a mailbox.
std::string advice_on_mailbox_option(const std::string& option);

/// The same as carry_over() for a file. Errors: those of reading it too.
Result<FromFetchmail> carry_over_file(const std::string& path, const std::string& entry);

}  // namespace odmr::app
