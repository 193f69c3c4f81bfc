#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace odmr::mail {

/// The addresses of a list as people and programs write it (RFC 5322 3.4 and 4.4: names, comments, groups, quoted
/// strings, folded lines, routes), in their order: "local@domain", or a local part alone, without blanks and comments.
/// They are not held against the grammar of a path yet. "<>" stands for itself where `allow_null`.
/// Reads leniently what cannot be misunderstood: any byte in a name, encoded words with commas in them, empty elements.
/// Errors: malformed, with the part that cannot be read; half a list is none.
Result<std::vector<std::string>> addresses_in(std::string_view list, bool allow_null = false);

}  // namespace odmr::mail
