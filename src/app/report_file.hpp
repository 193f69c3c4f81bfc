#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "base/error.hpp"

namespace odmr::app {

/// A file that others read, replaced at one stroke: whoever reads has the old one or the new one, whole. It is written
/// by the user who we are when it is begun, also where we have become another one meanwhile: root may write where the
/// owner of the state directory may not.
class ReportFile {
 public:
  /// `state_dir`: whose owner we are about to become. Forks where that changes anything. Errors: io.
  static Result<ReportFile> begin(const std::string& path, const std::string& state_dir);
  ReportFile(ReportFile&& other) noexcept
      : path_(std::move(other.path_)),
        line_(std::exchange(other.line_, -1)),
        writer_(std::exchange(other.writer_, -1)) {}
  ReportFile& operator=(ReportFile&&) = delete;
  ~ReportFile();

  /// Once. Everybody may read the file (mode 0644). Only a regular file is replaced. Errors: denied, something else is
  /// there; those of the file system, with the path as it was given; what is there is as it was then.
  Result<void> write(const std::string& text);

 private:
  explicit ReportFile(std::string path) : path_(std::move(path)) {}

  std::string path_;
  int line_ = -1;      // to the writer
  pid_t writer_ = -1;  // who has stayed as we were; -1: we write
};

}  // namespace odmr::app
