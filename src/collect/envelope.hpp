#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "smtp/path.hpp"

namespace odmr::collect {

/// Who a message in a mailbox is from and for: it lost its envelope when it was put there.
struct Envelope {
  smtp::Path reverse_path;
  std::vector<smtp::Mailbox> recipients;
};

/// Makes it of the message's header, CRLF line ends, cut at 256 KiB.
using Addressing = std::function<Envelope(std::string_view header)>;

/// RFC 5321 4.4: final delivery has put the reverse-path there. The null reverse-path where it has not, or cannot be
/// read.
smtp::Path return_path(std::string_view header);

/// A mailbox that is one person's.
Addressing for_one(smtp::Mailbox recipient);

/// How often we have collected the message already: our own Received fields in it.
std::size_t times_collected(std::string_view header, std::string_view hostname);

}  // namespace odmr::collect
