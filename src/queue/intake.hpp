#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mail/received.hpp"
#include "spool/store.hpp"

namespace odmr::queue {

/// Where outbound mail waits: "STATE_DIR/queue", a spool::Store with the index beside it.
std::string directory_in(const std::string& state_dir);

struct IntakeOptions {
  std::string hostname;        ///< ours, for a Message-ID
  std::uint64_t max_size = 0;  ///< of the message as it is stored, in bytes; 0: no limit
  bool complete = true;        ///< add Date, Message-ID and From where they are missing (RFC 6409 8)
  std::string from;            ///< the From field's value where one has to be added, "Anna <anna@example.org>"
  bool remove_bcc = false;     ///< `sendmail -t`
  std::optional<mail::Received> received;  ///< put in front where it is given; without id: the message's
};

/// A message on its way into the queue, with CRLF line ends, in pieces of any size. The header, and the first 256 KiB,
/// are kept in memory, at most a mebibyte; the rest goes through. Needs the store alone: no lock, no index. Destroyed
/// before commit() it leaves nothing behind.
class Intake {
 public:
  /// The envelope's attributes about content (k_body, k_smtputf8) are found out here; the others are the caller's.
  Intake(spool::Store& store, spool::Envelope envelope, IntakeOptions options);
  ~Intake();
  Intake(Intake&&) noexcept;
  Intake& operator=(Intake&&) = delete;

  /// Errors: too_long (the header over a mebibyte, or max_size), malformed (no way to send it), no_space, io. After one
  /// every call fails with the same, and nothing is kept.
  Result<void> write(std::string_view piece);
  /// Gives the message's id when it is on disk, with the two syncs of spool::Store. Blocks.
  Result<std::string> commit();

  /// Of the message so far, as it is stored.
  std::uint64_t size() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace odmr::queue
