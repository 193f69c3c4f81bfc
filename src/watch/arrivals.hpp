#pragma once

#include <string>

#include "base/error.hpp"
#include "base/file.hpp"

namespace odmr::watch {

/// Notices mail that is put into a queue, whoever puts it there: a message is whole when it is moved to held/
/// (spool::Store). Neither the queue nor the state directory above it have to be there yet. Nothing is read but that
/// something came; so what lies there can do us no harm.
class Arrivals {
 public:
  /// Of the queue in "STATE_DIR/NAME". Errors: those of inotify, of which a user has a limited number.
  static Result<Arrivals> in(const std::string& state_dir, const std::string& name);

  /// For poll().
  int descriptor() const { return events_.get(); }
  /// Takes what has happened since. Whether mail may have come.
  bool take();
  /// Whether there is any mail in the queue.
  bool has_mail() const;
  /// Looks again for what was not there.
  bool follow();

 private:
  Arrivals(std::string state_dir, std::string name, Descriptor events)
      : state_dir_(std::move(state_dir)), queue_(state_dir_ + "/" + std::move(name)), events_(std::move(events)) {}
  bool watch(const std::string& directory, unsigned what);
  bool holds_mail() const;

  std::string state_dir_;
  std::string queue_;
  Descriptor events_;
  std::string watched_;  // the directory, the deepest there is
  int watch_ = -1;
};

}  // namespace odmr::watch
