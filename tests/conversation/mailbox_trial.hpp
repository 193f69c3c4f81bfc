#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/cause.hpp"
#include "base/outcome.hpp"
#include "net/memory.hpp"

namespace odmr::conversation {

/// What the target does with the first message's dot, in place of what it should.
enum class AtDot {
  takes,
  dies_with_it,  ///< it has the message, and nobody hears so
  says_450,      ///< in the first run
  says_550,      ///< always
};

/// A mailbox with some messages, a target, and at most one thing that goes wrong in the first session.
struct MailboxTrial {
  bool imap = false;
  bool tls = false;
  bool pipelines = true;    ///< POP3: PIPELINING
  bool has_names = true;    ///< POP3: UIDL
  bool uid_plus = true;     ///< IMAP
  bool names_last = false;  ///< IMAP: UID behind BODY[]
  bool leaves = false;
  bool bounces = false;  ///< refused = "bounce"
  std::size_t messages = 3;
  std::uint64_t leave_up_to = 0;
  std::uint64_t max_size = 0;
  AtDot at_dot = AtDot::takes;
  bool refuses_folder = false;  ///< IMAP
  bool refuses_login = false;
  std::size_t copies = 1;              ///< of each message, for two people in its To
  bool differs = false;                ///< each of these copies has another body
  bool is_multidrop = false;           ///< recipients from Delivered-To, behind "mbox-"
  std::string puts_off;                ///< a recipient, in the first run
  std::optional<std::string> content;  ///< of all messages, in place of what differs

  std::size_t connection = 0;  ///< counted from 0: that which has these
  net::Faults faults;

  bool is_once_a_run = false;  ///< a line that broke is made again with the next run, and not at once

  // For the test of the test.
  bool forgets = false;  ///< the journal is lost from run to run

  std::string text() const;
};

/// What came of it. lost to stuck must be zero.
struct MailboxFindings {
  std::size_t lost = 0;       ///< the mailbox has it no more, and nobody else; or it is never delivered
  std::size_t corrupted = 0;  ///< delivered with other bytes
  std::size_t doubled = 0;
  std::size_t forgiven = 0;  ///< doubled because the target died with a message and its answer
  std::size_t stuck = 0;     ///< sessions that never end
  std::size_t undeleted = 0;
  std::size_t runs = 0;
  std::size_t left = 0;  ///< messages in the mailbox at the end
  std::size_t bounced = 0;
  std::vector<Outcome> outcomes;           ///< by run
  std::vector<Cause> causes;               ///< likewise
  std::vector<std::string> remedies;       ///< likewise
  std::vector<std::string> texts;          ///< likewise
  std::vector<std::string> reverse_paths;  ///< as the target heard them
  std::vector<std::string> taken_for;      ///< the recipients of each dot
  std::vector<std::string> received;       ///< the first line of each message that the target has
  std::vector<std::string> commands;       ///< that the server heard, in all runs
  std::vector<std::string> retrieved;      ///< uids, in the first run
  std::vector<net::Traffic> traffics;      ///< by connections of the first run
  std::vector<std::set<std::size_t>> read_up_to;
  std::vector<std::set<std::size_t>> written_up_to;

  bool are_clean() const { return lost + corrupted + doubled + stuck + undeleted == 0; }
  std::string text() const;
};

/// Runs `odmr run`'s session, and again with a new session, until one ends well and brings nothing.
MailboxFindings perform(const MailboxTrial& trial);

}  // namespace odmr::conversation
