#pragma once

#include <string>
#include <vector>

#include "cli/options.hpp"

namespace odmr::cli {

/// `odmr journal`.
struct JournalOptions : CommonOptions {
  enum class Action { list, show, forget };
  Action action = Action::list;
  std::vector<std::string> ids;
  std::string provider;
  bool all = false;  ///< every entry, in place of ids
};

/// Gives the exit status: 0, 66 for an id that is not in the journal, 75 while a run works, 73, 78.
int journal_command(const JournalOptions& options);

}  // namespace odmr::cli
