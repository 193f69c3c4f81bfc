#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/outcome.hpp"
#include "client/transaction.hpp"
#include "queue/queue.hpp"

namespace odmr::send {

/// A refusal that is about the host or about us, and not about the mail.
struct Grievance {
  Outcome outcome = Outcome::unavailable;  ///< unavailable, or auth
  std::string text;
};

/// What one transaction means: for the message, and for the line it went over.
struct Verdict {
  queue::Attempt attempt;          ///< its id is not set
  std::vector<std::size_t> again;  ///< places of recipients that go at once: in a next transaction, on a next line if
                                   ///< this one is over
  bool line_is_over = false;
  std::optional<Grievance> grievance;

  /// Whether the host has spoken its last word about somebody.
  bool got_through() const { return !attempt.sent.empty() || !attempt.failed.empty(); }
};

struct Circumstances {
  bool line_has_served = false;  ///< a message got through on it before: it may just have come to its end
  bool is_second_line = false;   ///< the letter was on a line before that came to its end
  bool we_closed = false;        ///< the line, in the middle of it all
};

/// `places` are those of the delivery's recipients in the letter's envelope. No refusal of the host's own troubles (no
/// login, no such command, 421 …) is one of a message, and no message is tried for ever at the cost of the others.
Verdict judge(const client::Delivery& delivery, const std::vector<std::size_t>& places,
              const Circumstances& circumstances);

}  // namespace odmr::send
