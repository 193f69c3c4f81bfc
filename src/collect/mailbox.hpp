#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "net/task.hpp"

namespace odmr::collect {

/// A message in a mailbox, as its server lists it.
struct Listed {
  std::uint32_t number = 0;  ///< POP3's number in this session, or IMAP's UID: what commands name it by
  std::uint64_t size = 0;    ///< as the server counts; 0: not told
  std::string uid;           ///< the name that stays; empty: the server has none
  bool is_wanted = true;     ///< false: it is not among those that are asked for (unseen_only)
};

/// A mailbox at a provider that is open, over POP3 or IMAP. Commands are answered in the order in which they are given
/// here, and several may be under way. After an error the conversation is over, and so is every step.
class Mailbox {
 public:
  virtual ~Mailbox() = default;

  /// "POP3S": as a Received line names the way.
  virtual std::string with() const = 0;
  /// As journal::Origin has it: which mailbox of all this is, for as long as its names of messages hold.
  virtual std::string name() const = 0;
  /// What has to be said about it for people, in a sentence; empty: nothing.
  virtual std::string greeting() const = 0;

  /// Tells of each message that is there, oldest first. Memory for a number and a size of each is taken, and no more.
  /// `unseen_only`: IMAP's others are told of as not wanted. `wants_sizes`: of all; else sizes() may be needed.
  virtual net::Task<Result<void>> list(bool unseen_only, bool wants_sizes,
                                       const std::function<Result<void>(Listed&&)>& see) = 0;
  /// Fills in the sizes of those of which they are not known.
  virtual net::Task<Result<void>> add_sizes(std::vector<Listed>& messages) = 0;

  /// Asks for the message. Those asked for come in this order by begin().
  virtual void ask_for(const Listed& message) = 0;
  /// Whether the next of those asked for is there: then read() gives it.
  virtual net::Task<Result<bool>> begin() = 0;
  /// Appends a next piece of the message, as the server has it, dots undone. False: that was all, and the server has
  /// said of which message; nothing was appended.
  virtual net::Task<Result<bool>> read(std::string& into) = 0;

  /// The message is not to be there any more. Nobody can be sure before close() has succeeded.
  virtual void remove(const Listed& message) = 0;
  /// IMAP: \Seen.
  virtual void mark_seen(const Listed& message) = 0;
  /// Sends what was asked for so far, without waiting for answers.
  virtual net::Task<Result<void>> send() = 0;

  /// Reads all answers that are due, has what was to be removed removed, and says good-bye. No error: it is removed for
  /// certain.
  virtual net::Task<Result<void>> close() = 0;
  /// A step that waits gives `interrupted`.
  virtual void interrupt() = 0;
  /// Closes the line without a word: what was to be removed is still there.
  virtual void leave() = 0;
  /// Where the line goes, its TLS in words (empty: none): for Received.
  virtual std::string peer() const = 0;
  virtual std::string tls() const = 0;
};

}  // namespace odmr::collect
