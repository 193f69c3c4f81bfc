#pragma once

#include <string>
#include <string_view>

namespace odmr::mail {

/// A header with CRLF line ends (without the empty line behind it) for a smart host that insists on a sender of its
/// own: From gets the address `from` (its display name stays), Sender goes, and a Reply-To with the former From is put
/// in where there is none. Everything else stays to the byte.
///
/// A From of several authors, or a group (RFC 6854), becomes one author with the first one's display name; several From
/// fields become one; a missing one is added at the end. A From that has that address already stays as it is, so doing
/// it twice changes nothing more. A former From without any address ("From: root") makes no Reply-To.
std::string with_from(std::string_view header, std::string_view from);

}  // namespace odmr::mail
