#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/file.hpp"

namespace odmr::confine {

using Command = std::vector<std::string>;

/// Runs configured commands for a process that has shut itself in, and could not start them any more as they are meant
/// to be: `pon` is setuid. It is a process of its own, forked before, as free as we were then; it knows the commands
/// from then on, and can be asked for one of these alone. It ends with us.
class Helper {
 public:
  /// Forks it, where there is a command at all. For a process without threads.
  static Result<Helper> start(std::vector<Command> commands);
  ~Helper();
  Helper(Helper&& other) noexcept;
  Helper& operator=(Helper&&) = delete;

  /// As odmr::output_of(). From any thread, from several at once. Errors: likewise; not_found for what is none of its
  /// commands; io when the helper is gone.
  Result<std::string> output_of(const Command& command, Duration patience) const;

 private:
  Helper(std::vector<Command> commands, Descriptor line, pid_t process);
  Result<void> ask(std::size_t command, Duration patience, int answer) const;

  std::vector<Command> commands_;
  Descriptor line_;
  pid_t process_;
};

}  // namespace odmr::confine
