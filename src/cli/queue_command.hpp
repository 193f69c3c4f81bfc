#pragma once

#include <string>
#include <vector>

#include "cli/options.hpp"

namespace odmr::cli {

/// `odmr queue`: the outbound queue, or what is kept for the local target.
struct QueueOptions : CommonOptions {
  enum class Action { list, show, retry, hold, release, remove };
  Action action = Action::list;
  std::vector<std::string> ids;
  bool all = false;      ///< every message, in place of ids
  bool message = false;  ///< show: the bytes
  bool kept = false;     ///< what is kept for the local target
};

/// Gives the exit status: 0, 64 for a retry of what every run tries anyway, 66 for an id that is not in the queue, 75
/// for a message that is being sent, 73, 78.
int queue_command(const QueueOptions& options);

}  // namespace odmr::cli
