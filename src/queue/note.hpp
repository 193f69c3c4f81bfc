#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "smtp/reply.hpp"

namespace odmr::queue {

/// What is written down about a message (spool::Store::note), in the order in which it happened. As text:
///
///   sent PLACE                       the smart host has taken it for this recipient
///   failed PLACE SECONDS REPLY       for good, then (seconds since 1970), with these words
///   told PLACE                       the bounce is out, or none is due
///   undeliverable PLACE REPLY        the bounce cannot be told to anybody
///   retry                            what was undeliverable waits again
///   hold, release                    by hand
///   delay told                       the sender knows that it is late
///   seen SECONDS                     it had arrived a day later than that, or more: by a clock that was ahead
struct Note {
  enum class Kind { sent, failed, told, undeliverable, retry, hold, release, delay_told, seen };
  Kind kind = Kind::sent;
  std::size_t recipient = 0;  ///< place in the envelope; of the first four
  WallTime when;              ///< of a failure, and of seen, to the second
  std::string reply;          ///< of failed and undeliverable, one line

  friend bool operator==(const Note&, const Note&) = default;
};

std::string text_of(const Note& note);
/// No value for anything else: a note of a later version, or one that is not the queue's.
std::optional<Note> parse_note(std::string_view text);

/// Anybody's words as one line of a note: controls become '?', and it is cut at a thousand bytes.
std::string one_line(std::string_view words);
/// The reply that a line was made of, its lines joined. Words of ours, without a code, are a 451.
smtp::Reply reply_from(std::string_view line);

}  // namespace odmr::queue
