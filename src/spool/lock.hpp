#pragma once

#include <string>

#include "base/file.hpp"

namespace odmr::spool {

/// The right to work on a directory, for one process at a time. The system holds it (flock on DIR/lock) and ends it
/// with the process, however that goes: the file stays, says nothing, and is never stale.
class DirectoryLock {
 public:
  /// Does not wait. Errors: busy when another process (or another DirectoryLock of this one) has it; not_found,
  /// denied, no_space, io.
  static Result<DirectoryLock> take(const std::string& directory, FileOps& files = system_files());

 private:
  explicit DirectoryLock(Descriptor held) : held_(std::move(held)) {}

  Descriptor held_;
};

}  // namespace odmr::spool
