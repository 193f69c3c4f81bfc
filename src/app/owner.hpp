#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/error.hpp"

namespace odmr::app {

/// Whom become_owner_of() would make of us; none where nothing would happen.
struct Owner {
  uid_t user = 0;
  gid_t group = 0;
};
Result<std::optional<Owner>> other_owner_of(const std::string& directory);

/// "anna"; "user 4711" where it has no name.
std::string user_text(uid_t user);

/// Why a directory of that user is of no use to another.
Cause cause_of_owner(uid_t user);

/// Root becomes the owner of the directory, for good: what root makes there, its owner could not work with. Nothing
/// happens where we are not root, where root owns it, or where it is not there yet. Errors: denied, io.
Result<void> become_owner_of(const std::string& directory);

}  // namespace odmr::app
