#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"

namespace odmr {

/// Runs `argv` (no shell; argv[0] is looked for in PATH), with nothing on stdin, and gives what it wrote to stdout,
/// at most 64 KiB. Blocks, for `patience` at the longest; then the child is killed. Its stderr is ours.
/// Errors: not_found, timed_out, too_long, io (a status other than 0, named in the text; its output is not).
Result<std::string> output_of(const std::vector<std::string>& argv, Duration patience);

/// The same for somebody else: `asker` is the write end of a pipe. Once nobody reads there any more, the child is
/// killed. Errors: interrupted, too, then.
Result<std::string> output_for(int asker, const std::vector<std::string>& argv, Duration patience);

/// Runs `argv` likewise, for what it does: gives its last words, the end of what it wrote to stdout and stderr, and so
/// does the text of an error. What it leaves running in the background may go on writing. `asker`, where it is not -1,
/// is the write end of a pipe: once nobody reads there any more, the command is ended. To end it, it gets SIGTERM, and
/// two seconds later SIGKILL, with its process group.
/// Errors: not_found, timed_out, interrupted (nobody asks any more), io (a status other than 0, named in the text).
Result<std::string> last_words_of(const std::vector<std::string>& argv, Duration patience, int asker = -1);

/// Runs `argv` likewise, with these open files as its stdin and stdout, and gives its exit status, whatever it is.
/// Errors: not_found, timed_out, io (killed by a signal).
Result<int> filter(const std::vector<std::string>& argv, int input, int output, Duration patience);

/// Runs `argv` likewise, as somebody to speak to: `line`, one end of a stream socket, is its stdin and stdout, and
/// stays the caller's, too. `on_begun` is called once it runs. Blocks until it has ended, for which it has as long as
/// `farewell` after the other end was closed, and no more than two seconds after `owner` was: a socket, or the write
/// end of a pipe, whose other end belongs to whom the conversation is for; -1: nobody. Then it gets SIGTERM and, two
/// seconds later, SIGKILL, with its process group. What it leaves running when it ends by itself goes on. Gives its
/// exit status. Errors: not_found, and system errors, it could not be started; io, it did not end by itself, or was
/// killed.
Result<int> converse(const std::vector<std::string>& argv, int line, int owner, Duration farewell,
                     const std::function<void()>& on_begun);

}  // namespace odmr
