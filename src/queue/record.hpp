#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "queue/note.hpp"
#include "queue/queue.hpp"
#include "spool/store.hpp"

namespace odmr::queue {

/// Where a message stands: what its file and the notes about it come to. Nothing in it needs the index.
struct Record {
  struct Recipient {
    std::string address;
    Standing standing = Standing::waiting;
    std::string reply;          ///< the last one, of a failure
    WallTime failed_at;         ///< likewise
    bool is_stuck = false;      ///< failed, and nobody can be told
    std::string why_stuck;      ///< what was said to the bounce
    bool wants_failure = true;  ///< NOTIFY (RFC 3461 4.1) allows a bounce about it
    bool wants_delay = true;    ///< and a notice of delay
  };
  std::string id;
  WallTime arrival;
  std::uint64_t size = 0;
  std::string reverse_path;
  std::vector<Recipient> recipients;
  bool is_held = false;
  bool is_delay_told = false;
  std::optional<WallTime> first_seen;  ///< of one that had come from the future then
  std::uint64_t notes = 0;             ///< size of the notes that this knows of

  Record(std::string message_id, const spool::MessageReader& message, const spool::Store::Notes& notes_about_it);

  /// What it comes to with one more note. Notes about recipients that it does not have say nothing.
  void add(const Note& note);

  /// Whether the clock was ahead by a day or more when it came, or is behind now: nobody can tell which.
  bool is_ahead(WallTime now) const;
  /// Since when its lifetime counts: its arrival; while that is ahead, when it was first seen to be, or now.
  WallTime waits_since(WallTime now) const;
  /// Places in the envelope.
  std::vector<std::size_t> waiting() const;
  /// Failed, and a bounce is due.
  std::vector<std::size_t> to_be_told() const;
  /// Wait, and may hear of it.
  std::vector<std::size_t> to_hear_of_delay() const;
  bool is_over() const;
  Stopped stopped() const;
  /// Whether a bounce is all that is due.
  bool is_untold() const;
  /// Why nobody could be told, where somebody was asked.
  std::string why_untold() const;
  /// Since when the bounce waits.
  WallTime failed_since() const;

 private:
  void add_about(Recipient& recipient, const Note& note) const;
};

/// What an attempt at `now` means for a message: the notes to be made.
std::vector<Note> judge(const Record& record, const Attempt& attempt, WallTime now, Duration lifetime);

}  // namespace odmr::queue
