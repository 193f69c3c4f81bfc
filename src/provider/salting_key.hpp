#pragma once

#include <string>

#include "base/file.hpp"
#include "base/secret.hpp"

namespace odmr::provider {

/// The key that the spool keeps for sasl::Accounts::salting_key(), made where it is missing (DIRECTORY/salting-key):
/// what a stranger is told of users that do not exist stays the same from one start to the next, as it does for those
/// that do. Errors: those of the file system.
Result<Secret> salting_key_in(const std::string& directory, FileOps& files = system_files());

}  // namespace odmr::provider
