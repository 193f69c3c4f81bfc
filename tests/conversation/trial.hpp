#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/memory.hpp"

namespace odmr::conversation {

/// How the provider speaks on the turned line.
enum class Manner {
  lockstep,   ///< one command, one reply
  pipelined,  ///< MAIL, RCPT and DATA in one write; then waits
  hurried,    ///< and behind the final dot, in the same write, the next group or QUIT
  chunked,    ///< all messages in one write, by BDAT; QUIT when all replies are read, as odmrd has it
};

/// What the target does at one of its moments, in place of what it should.
enum class Misdeed {
  none,
  dies,
  dies_with_it,  ///< likewise; after the dot: it has the message
  answers_and_dies,
  stalls,
  stalls_with_it,  ///< likewise
  says_421,
  says_450,
  says_452,
  says_550,
};
std::string_view name(Misdeed misdeed);

/// A provider with some messages, a target, and at most one thing that goes wrong in the first session.
struct Trial {
  static constexpr std::size_t k_never = net::Faults::k_never;

  bool tls = false;
  bool lmtp = false;
  Manner manner = Manner::lockstep;
  std::size_t messages = 3;
  std::size_t recipients = 1;            ///< of each
  std::size_t per_connection = k_never;  ///< messages; Exim under TLS hands over one
  std::size_t connections = 1;           ///< with the target, at most
  std::size_t domains = 1;               ///< for which the messages are, in turn
  std::size_t parallel = 1;              ///< ATRN sessions
  std::size_t most_at_once = k_never;    ///< of them, the provider allows
  std::vector<std::size_t> lateness;     ///< by message: so many seconds later the target answers its dot
  bool is_mixed = false;                 ///< some recipients are put off at first, some refused for good

  // One of these.
  std::size_t connection = 0;  ///< with the provider, counted from 0: that which has these
  net::Faults faults;
  std::size_t cut_at = k_never;  ///< that moment of the target's at which the provider's first line is cut
  std::size_t misdeed_at = k_never;
  Misdeed misdeed = Misdeed::none;

  // For the tests of the test: what we could do wrong.
  bool forgets = false;   ///< the journal is lost from run to run
  bool is_blind = false;  ///< a line that is gone looks as if it were there, until we wait for more

  std::string text() const;
};

/// What one connection with the provider carried in a trial: our end of it.
struct Carried {
  net::Traffic traffic;
  std::optional<net::Traffic> turn;     ///< what of it had been carried when ATRN came
  std::set<std::size_t> read_up_to;     ///< where a read of ours ended
  std::set<std::size_t> written_up_to;  ///< where a write did
};

/// What came of it. The counts are of messages and recipients: all must be zero, or are forgiven.
struct Findings {
  std::size_t lost = 0;       ///< neither delivered nor refused, and the provider has it no more; or kept for ever
  std::size_t corrupted = 0;  ///< delivered with other bytes, or not to their end
  std::size_t doubled = 0;    ///< delivered twice, or delivered and refused
  std::size_t forgiven = 0;   ///< doubled because the target died with a message and its answer
  std::size_t in_vain = 0;    ///< handed over although the line was seen to be gone before our dot
  std::size_t stuck = 0;      ///< sessions that never end
  std::size_t misplaced = 0;  ///< answers that the provider took for another message's
  std::size_t at_once = 0;    ///< dots that the target had not answered, at most
  std::size_t turned = 0;     ///< lines at a time, at most
  std::size_t runs = 0;
  std::vector<std::size_t> content_ends;  ///< how many bytes we had read when the target saw the dot, in the first run
  std::vector<std::string> moments;       ///< of the target, in the first run
  std::vector<Carried> carried;           ///< by the provider's connections of the first run

  bool are_clean() const { return lost + corrupted + doubled + in_vain + stuck + misplaced == 0; }
  std::string text() const;
};

/// Runs `odmr run`'s session with both, and again with a new session, until the provider has nothing more. It keeps a
/// message until it has read our answer, to its last byte.
Findings perform(const Trial& trial);

}  // namespace odmr::conversation
