#pragma once

#include <optional>
#include <string>

#include "queue/folder.hpp"
#include "queue/index.hpp"

namespace odmr::queue {

/// An index that is always there: in its file; where that is damaged, made anew from the messages by who may, and where
/// it cannot be used, in memory. For one thread at a time.
class LastingIndex {
 public:
  /// "DIRECTORY/index.db". Errors: no memory.
  static Result<LastingIndex> in(const std::string& directory, Folder& folder, Clock& clock, Log& log);

  /// From now on we hold the state directory's lock: a damaged file may be deleted.
  void hold_lock();

  /// The operation (Index& to a Result), and once more where the index had to be made again for it.
  template <class Operation>
  auto with(Operation operation) -> decltype(operation(std::declval<Index&>())) {
    auto result = operation(index_);
    if (result || in_memory_) return result;
    replace(result.error());
    return operation(index_);
  }

  /// Why what is written here is lost with this object; none when it is in the file, or will be made anew.
  std::optional<Error> why_forgetful() const;
  const std::string& path() const { return path_; }
  bool wants_checkpoint() const { return !in_memory_ && index_.wants_checkpoint(); }

 private:
  LastingIndex(std::string path, Index index, Folder& folder, Clock& clock, Log& log)
      : path_(std::move(path)), index_(std::move(index)), folder_(&folder), clock_(&clock), log_(&log) {}
  void open();
  void make_anew();
  void replace(const Error& why);
  Result<void> rebuild();
  void work_in_memory(const Error& why);

  std::string path_;
  Index index_;
  Folder* folder_;
  Clock* clock_;
  Log* log_;
  std::optional<Error> in_memory_;  // why it is there
  bool holds_lock_ = false;
};

}  // namespace odmr::queue
