#pragma once

#include <optional>
#include <string>

#include "base/file.hpp"
#include "base/secret.hpp"

namespace odmr::config {

struct Contents {
  Secret bytes;  ///< most files read here may hold one
  FileStatus status;
};

/// A whole file; symbolic links are followed. Errors: not_found, denied, too_long (more than `most` bytes), io.
Result<Contents> read_file(const std::string& path, std::size_t most);

/// Why a file must not hold a secret, with what would be right: others have any right to it, the group may write it,
/// or it belongs to neither root nor us. Empty when it may.
std::string secret_objection(const FileStatus& status, const std::string& path);

}  // namespace odmr::config
