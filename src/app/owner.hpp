#pragma once

#include <string>

#include "base/error.hpp"

namespace odmr::app {

/// Root becomes the owner of the directory, for good: what root makes there, its owner could not work with. Nothing
/// happens where we are not root, where root owns it, or where it is not there yet. Errors: denied, io.
Result<void> become_owner_of(const std::string& directory);

}  // namespace odmr::app
