#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace odmr::imap {

/// A quoted string (RFC 3501 4.3). Errors: malformed, for what only a literal could carry.
Result<std::string> quoted(std::string_view text);

/// A mailbox's name as it goes over the wire, modified UTF-7 (RFC 3501 5.1.3), not quoted. `utf8` must be UTF-8.
std::string mailbox_name(std::string_view utf8);

/// "1:3,7" of ascending numbers from `begin` on, not longer than 1,000 octets; moves `begin` behind the last of them.
std::string next_set(const std::vector<std::uint32_t>& numbers, std::size_t& begin);

}  // namespace odmr::imap
