#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "confine/user.hpp"

namespace odmr::confine {

using Command = std::vector<std::string>;

/// Ends a wait for a command, from another thread. It can be used once.
class Interruption {
 public:
  Interruption();
  void interrupt() const;
  int descriptor() const { return event_.get(); }

 private:
  Descriptor event_;
};

/// Runs configured commands for a process that has shut itself in, and could not start them any more as they are meant
/// to be: `pon` is setuid. It is a process of its own, forked before, as free as we were then; it knows the commands
/// from then on, and can be asked for one of these alone. It ends with us.
class Helper {
 public:
  /// Forks it, where there is a command at all. For a process without threads. With a `user` it becomes him, for good,
  /// as root; where it cannot, it is gone.
  static Result<Helper> start(std::vector<Command> commands, const std::optional<User>& user = std::nullopt);
  ~Helper();
  Helper(Helper&& other) noexcept;
  Helper& operator=(Helper&&) = delete;

  /// As odmr::output_of(). From any thread, from several at once. The command is ended too when we are gone, and by
  /// SIGINT, SIGTERM and SIGHUP where these are caught. Errors: likewise; interrupted then; not_found for what is none
  /// of its commands; io when the helper is gone.
  Result<std::string> output_of(const Command& command, Duration patience) const;

  /// As odmr::last_words_of(): the command is ended too when we are gone, and by an `interruption`, which may be null.
  Result<std::string> begin(const Command& command, Duration patience, const Interruption* interruption) const;
  /// The same for one that goes on without us. What was bequeathed of it is revoked.
  Result<std::string> complete(const Command& command, Duration patience) const;
  /// Should we be gone, however that happens, before complete() was asked for it, the helper runs it: its last deed.
  /// The destructor waits for that.
  Result<void> bequeath(const Command& command, Duration patience) const;

  /// Whether it is one of its commands.
  bool knows(const Command& command) const;
  /// A command that is spoken to: on its way, until `answer` can be read.
  struct Conversation {
    Descriptor line;    ///< our end of a stream socket, whose other end is the command's stdin and stdout
    Descriptor answer;  ///< for begun()
  };
  /// Has it started, and does not wait for that. Closing `line` ends it, as odmr::converse() says, and so does our own
  /// end; the helper does not go before it. Errors: not_found for what is none of its commands; io when the helper is
  /// gone; system errors.
  Result<Conversation> converse(const Command& command, Duration farewell) const;
  /// Whether the command runs, once `answer` can be read. Errors: those of odmr::converse(); io when the helper is
  /// gone.
  static Result<void> begun(const Descriptor& answer);

  /// What a question is about.
  enum class What : std::uint64_t { output, begin, complete, bequeath, converse };

 private:
  Helper(std::vector<Command> commands, Descriptor line, pid_t process);
  Result<std::uint64_t> number_of(const Command& command) const;
  Result<std::string> ask(What what, const Command& command, Duration patience, const Interruption* interruption) const;

  std::vector<Command> commands_;
  Descriptor line_;
  pid_t process_;
};

}  // namespace odmr::confine
