#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace odmr::mail {

/// What a Received field says (RFC 5321 4.4), in anybody's writing.
struct Trace {
  std::string by;                       ///< the host that wrote it; empty without
  std::string with;                     ///< "ESMTPS", "LMTP" …; empty without
  std::vector<std::string> recipients;  ///< of the "for" clause, as addresses_in() gives them; mostly one or none
};

/// Reads the body of a Received field, folded or not. Comments, and whatever is no clause, are passed over; of several
/// clauses of one kind the last counts, since what stands before may be the peer's word (its name in HELO). No value
/// where a comment, a quoted string or a bracket has no end, for then nobody can say what belongs to what.
std::optional<Trace> read_trace(std::string_view received);

}  // namespace odmr::mail
