#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "smtp/path.hpp"

namespace odmr::smtp {

/// An entry in a list of recipients, in the form in which it is compared: "anna@example.org"; "anna", at any of the
/// domains that the list is for, as "anna@"; "@example.org", everybody there. Local parts are compared without regard
/// to case, as nearly all servers do, and domains as canonical_domain() has them. Errors: malformed.
Result<std::string> recipient_entry(std::string_view text);

/// Each entry by which a list has this mailbox. `delimiter`: what separates a name from what its owner has added,
/// "anna+lists"; empty: nothing does.
std::vector<std::string> entries_for(const Mailbox& mailbox, std::string_view delimiter);

/// A domain's postmaster is always there (RFC 5321 4.5.1).
bool is_postmaster(const Mailbox& mailbox);

}  // namespace odmr::smtp
