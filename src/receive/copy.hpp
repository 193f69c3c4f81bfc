#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/file.hpp"

namespace odmr::receive {

/// A message's content, put by until its digest is known, in a file without a name.
class Copy {
 public:
  /// Errors: those of making a file in `directory`.
  static Result<Copy> in(const std::string& directory, FileOps& files);

  /// Errors stay: after one, nothing more is written.
  Result<void> write(std::string_view piece);
  /// From the beginning on, at most as much as `into` holds; 0 at the end.
  Result<std::size_t> read(std::span<char> into);
  void rewind() { place_ = 0; }

 private:
  Copy(Descriptor file, FileOps& files) : file_(std::move(file)), files_(&files) {}

  Descriptor file_;
  FileOps* files_;
  std::uint64_t place_ = 0;  // of the next read
  Result<void> written_;
};

}  // namespace odmr::receive
