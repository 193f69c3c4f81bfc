#include "watch/arrivals.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace odmr::watch {

Result<Arrivals> Arrivals::in(const std::string& state_dir, const std::string& name) {
  Descriptor events(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!events.is_open()) return fail(system_error(errno, "inotify"));
  Arrivals arrivals(state_dir, name, std::move(events));
  arrivals.follow();
  return arrivals;
}

// Watched before it is looked into, so that nothing comes in between.
bool Arrivals::follow() {
  const std::string held = queue_ + "/held";
  if (watched_ == held) return false;
  if (watch(held, IN_MOVED_TO)) return holds_mail();
  if (watch(queue_, IN_CREATE)) {
    if (watch(held, IN_MOVED_TO)) return holds_mail();
  } else if (watch(state_dir_, IN_CREATE | IN_MOVED_TO)) {
    if (watch(queue_, IN_CREATE) && watch(held, IN_MOVED_TO)) return holds_mail();
  }
  return false;
}

bool Arrivals::watch(const std::string& directory, unsigned what) {
  if (watched_ == directory) return true;
  const int added =
      ::inotify_add_watch(events_.get(), directory.c_str(), what | IN_ONLYDIR | IN_DELETE_SELF | IN_MOVE_SELF);
  if (added < 0) return false;
  if (watch_ >= 0 && watch_ != added) ::inotify_rm_watch(events_.get(), watch_);
  watch_ = added;
  watched_ = directory;
  return true;
}

bool Arrivals::holds_mail() const {
  const auto directory = system_files().open_dir(watched_);
  if (!directory) return false;
  const auto names = system_files().list(directory->get());
  return names && !names->empty();
}

bool Arrivals::has_mail() const {
  return watched_ == queue_ + "/held" && holds_mail();
}

bool Arrivals::take() {
  bool has_come = false;
  bool is_lost = false;
  for (;;) {
    alignas(inotify_event) std::array<char, 4096> bytes{};
    const ssize_t got = ::read(events_.get(), bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(got);) {
      inotify_event event{};
      std::memcpy(&event, bytes.data() + at, sizeof event);
      at += sizeof event + event.len;
      if ((event.mask & IN_Q_OVERFLOW) != 0) has_come = true;
      if (event.wd != watch_) continue;
      if ((event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0) is_lost = true;
      if ((event.mask & IN_MOVED_TO) != 0 && watched_ == queue_ + "/held") has_come = true;
    }
  }
  if (is_lost) {
    ::inotify_rm_watch(events_.get(), watch_);
    watch_ = -1;
    watched_.clear();
  }
  return follow() || has_come;
}

}  // namespace odmr::watch
