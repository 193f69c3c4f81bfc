#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mail/mailbox_envelope.hpp"
#include "smtp/path.hpp"

namespace odmr::collect {

/// Who a message in a mailbox is from and for: it lost its envelope when it was put there.
struct Envelope {
  smtp::Path reverse_path;
  std::vector<smtp::Mailbox> recipients;  ///< none: it has to stay there
  std::string found;                      ///< how, in words
  bool is_loop = false;                   ///< it has been here too often
  /// What is the same in the headers of all copies that the provider may have put there, as mail::copy_identity() has
  /// it; no value: each message is one of its own.
  std::optional<std::string> copy_identity;
  std::string beginning;  ///< the message's, header and all, as it is handed on
};

/// Makes it of the message's beginning, CRLF line ends: all of its header, or so much of that as is looked at (then
/// not `is_whole`).
using Addressing = std::function<Envelope(std::string_view beginning, bool is_whole)>;

/// `drop_delivered_to`: as mail::header_to_hand_on() has it.
Addressing by_policy(mail::MailboxPolicy policy, bool drop_delivered_to);

}  // namespace odmr::collect
