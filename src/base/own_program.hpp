#pragma once

#include <string>

#include "base/error.hpp"

namespace odmr {

/// The path of another program of ours: beside the one that runs, or in ../libexec/odmr from there. Errors: not_found,
/// with the places looked at.
Result<std::string> own_program(const std::string& name);

}  // namespace odmr
