#include "spool/news.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "spool/store.hpp"

namespace odmr::spool {

Result<News> News::of(const std::string& directory) {
  Descriptor events(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!events.is_open()) return fail(system_error(errno, "inotify"));
  const std::string held = directory + "/held";
  // A message is whole when it is moved there (Store::Draft::commit).
  constexpr unsigned k_what = IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR | IN_DELETE_SELF | IN_MOVE_SELF;
  if (::inotify_add_watch(events.get(), held.c_str(), k_what) < 0) return fail(system_error(errno, held));
  return News(std::move(events));
}

News::Batch News::take() {
  Batch batch;
  batch.is_incomplete = is_over_;
  for (;;) {
    alignas(inotify_event) std::array<char, 16384> bytes{};
    const ssize_t got = ::read(events_.get(), bytes.data(), bytes.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return batch;
    for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(got);) {
      inotify_event event{};
      std::memcpy(&event, bytes.data() + at, sizeof event);
      std::string name(bytes.data() + at + sizeof event, strnlen(bytes.data() + at + sizeof event, event.len));
      at += sizeof event + event.len;
      constexpr unsigned k_end = IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT;
      is_over_ = is_over_ || (event.mask & k_end) != 0;
      batch.is_incomplete = batch.is_incomplete || is_over_ || (event.mask & IN_Q_OVERFLOW) != 0;
      if (Store::is_id(name)) batch.events.push_back({std::move(name), (event.mask & IN_MOVED_TO) != 0});
    }
  }
}

}  // namespace odmr::spool
