#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"

namespace odmr::mail {

/// A delivery status notification (RFC 3464), about a message that failed or waits.
struct DeliveryStatus {
  enum class Action { failed, delayed };
  struct Recipient {
    std::string address;
    std::string original;     ///< ORCPT as written (RFC 3461 4.2), empty without
    std::string reply;        ///< "550 5.1.1 no such user", the remote server's words or ours; may hold any byte
    std::string remote_host;  ///< whose words they are; empty: ours
  };
  Action action = Action::failed;
  std::string hostname;     ///< ours: Reporting-MTA
  std::string addressee;    ///< the reverse-path of the message
  std::string envelope_id;  ///< ENVID, empty without
  WallTime arrival;
  WallTime now;
  WallTime until;          ///< delayed: how long we shall try
  std::string message_id;  ///< for Message-ID: unique, atom characters
  std::vector<Recipient> recipients;
  bool whole_message = false;  ///< the original's body too, not its header alone
};

/// The notice around the original message: what stands before it and what after, CRLF line ends. Everything in them is
/// 7-bit unless the addresses need RFC 6533; a peer's words are made harmless. `header` is the original's.
struct NoticeFrame {
  std::string before;
  std::string after;
  bool needs_8bit = false;
  bool needs_smtputf8 = false;
};
NoticeFrame frame(const DeliveryStatus& status, bool original_is_8bit, bool header_is_utf8);

}  // namespace odmr::mail
