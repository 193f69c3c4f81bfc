#pragma once

#include <string>
#include <vector>

#include "base/file.hpp"

namespace odmr::spool {

/// What others put into a store and take from it, told by the kernel (inotify), so that nobody has to list it to find
/// out. In the order in which it happened.
class News {
 public:
  /// Of the store in `directory`, which must be there. Errors: those of inotify, of which a user has a limited number.
  static Result<News> of(const std::string& directory);

  struct Event {
    std::string id;
    bool has_come = false;  ///< else it has gone
  };
  struct Batch {
    std::vector<Event> events;
    /// More has happened than the kernel keeps, or nothing is told any more: only a list tells.
    bool is_incomplete = false;
  };
  /// Takes what has happened since; never waits.
  Batch take();
  /// For who wants to wait until there is something.
  int descriptor() const { return events_.get(); }

 private:
  explicit News(Descriptor events) : events_(std::move(events)) {}

  Descriptor events_;
  bool is_over_ = false;  // the directory itself has gone
};

}  // namespace odmr::spool
