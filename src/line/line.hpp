#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/log.hpp"

namespace odmr::line {

using Command = std::vector<std::string>;

/// A line that has to be dialled. Without commands there is nothing to do.
struct LineOptions {
  Command up;
  Command down;
  Duration up_timeout = std::chrono::minutes(2);
  Duration down_timeout = std::chrono::seconds(30);
};

/// Who runs the commands: a process that outlives ours. Each call blocks until the command has ended, and gives its
/// last words; an error's text has them too.
class Commands {
 public:
  virtual ~Commands() = default;
  /// Ended early when we are gone, or when interrupt() is called from another thread.
  virtual Result<std::string> begin(const Command& command, Duration patience) = 0;
  virtual void interrupt() = 0;
  /// Goes on without us.
  virtual Result<std::string> complete(const Command& command, Duration patience) = 0;
  /// Runs `command` once we are gone, unless complete() was asked for it by then.
  virtual Result<void> bequeath(const Command& command, Duration patience) = 0;
};

/// The line of one run. From the moment at which bring_up() begins something stands ready to take it down again,
/// whatever becomes of `up` and of us.
class Line {
 public:
  Line(LineOptions options, Commands& commands, Log& log);

  /// Runs `up`. Blocks, up to its timeout. Errors: a sentence with the command's status and last words, not escaped;
  /// `down` is due all the same. interrupted: by interrupt().
  Result<void> bring_up();
  /// Ends bring_up(), from another thread; one that has not begun fails at once.
  void interrupt() { commands_.interrupt(); }
  /// Runs `down`, once, where bring_up() was begun. Blocks likewise. Errors: likewise; there is nothing more to be done
  /// about it then.
  Result<void> take_down();

  bool is_dialled() const { return !options_.up.empty() || !options_.down.empty(); }

 private:
  LineOptions options_;
  Commands& commands_;
  Log& log_;
  bool is_down_due_ = false;
};

}  // namespace odmr::line
