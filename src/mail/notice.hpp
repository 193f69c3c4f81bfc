#pragma once

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
    std::string remote_host;  ///< whose words they are; empty: that is not said
  };
  Action action = Action::failed;
  std::string hostname;     ///< ours: Reporting-MTA
  std::string addressee;    ///< the reverse-path of the message
  std::string envelope_id;  ///< ENVID as written (RFC 3461 4.4), empty without
  WallTime arrival;
  WallTime now;
  WallTime until;  ///< delayed: how long we shall try
  std::string
      message_id;  ///< for Message-ID and the boundary: atom characters, unique, and nothing that can be guessed
  std::vector<Recipient> recipients;
  bool whole_message = false;  ///< the original's body too, not its header alone
  /// RFC 6533 may be used where it is needed. Without it addresses outside ASCII are written in its 7-bit form, and of
  /// an original with a UTF-8 header that header alone is returned, as text.
  bool internationalized = true;
};

/// The notice around the original message: what stands before it and what after, CRLF line ends. Everything in them is
/// 7-bit unless the addresses need RFC 6533; a peer's words are made harmless.
struct NoticeFrame {
  std::string before;
  std::string after;
  bool whole_message = false;   ///< what belongs between the two: the whole message, or its header
  bool needs_8bit = false;      ///< BODY=8BITMIME, for what stands between too
  bool needs_smtputf8 = false;  ///< the addressee is not ASCII
};

/// `original_is_8bit` is about what shall stand between; `header_is_utf8`: the original came with SMTPUTF8.
NoticeFrame frame(const DeliveryStatus& status, bool original_is_8bit, bool header_is_utf8);

/// RFC 3461 4: "+XX" is the character with that code. What is not xtext stays as it is.
std::string decode_xtext(std::string_view text);

}  // namespace odmr::mail
