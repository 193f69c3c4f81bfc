#include "queue/lasting_index.hpp"

#include <algorithm>
#include <utility>

namespace odmr::queue {

Result<LastingIndex> LastingIndex::in(const std::string& directory, Folder& folder, Clock& clock, Log& log) {
  auto empty = Index::in_memory();
  if (!empty) return fail(empty.error());
  LastingIndex index(directory + "/index.db", std::move(*empty), folder, clock, log);
  index.open();
  return index;
}

void LastingIndex::open() {
  if (!folder_->store.is_ours()) {
    // Files that we make here would be in the owner's way.
    in_memory_ = Error{Errc::denied, "the queue belongs to another user"};
    return;
  }
  auto opened = Index::open(path_);
  if (!opened) return work_in_memory(opened.error());
  index_ = std::move(*opened);
}

void LastingIndex::hold_lock() {
  holds_lock_ = true;
  if (in_memory_ && in_memory_->code == Errc::malformed) make_anew();
}

std::optional<Error> LastingIndex::why_forgetful() const {
  if (in_memory_ && in_memory_->code == Errc::malformed) return std::nullopt;
  return in_memory_;
}

void LastingIndex::work_in_memory(const Error& why) {
  in_memory_ = why;
  log_->warn("the index of the queue cannot be used: until the end of this run it is in memory",
             {{"file", path_}, {"why", why.text}});
}

// Others may have the old one open: they work on with what is deleted, and start afresh.
void LastingIndex::make_anew() {
  const auto removed = db::Database::remove(path_);
  auto opened = removed ? Index::open(path_) : fail(removed.error());
  if (!opened) return work_in_memory(opened.error());
  index_ = std::move(*opened);
  in_memory_.reset();
  log_->warn("the index of the queue was damaged, and is made anew from the messages", {{"file", path_}});
}

// With all it knows, the schedule too, when it can still be read.
void LastingIndex::replace(const Error& why) {
  work_in_memory(why);
  const bool is_damaged = why.code == Errc::malformed;
  if (!is_damaged) {
    if (auto copy = index_.copy_in_memory()) {
      index_ = std::move(*copy);
      return;
    }
  }
  auto empty = Index::in_memory();
  if (!empty) return;
  index_ = std::move(*empty);
  if (is_damaged && holds_lock_) make_anew();
  const auto rebuilt = rebuild();
  if (!rebuilt && !in_memory_) replace(Error{Errc::io, rebuilt.error().text});
}

Result<void> LastingIndex::rebuild() {
  constexpr std::size_t batch = 1000;
  const auto listing = folder_->store.list();
  if (!listing) return fail(listing.error());
  for (std::span<const std::string> ids = listing->ids; !ids.empty();) {
    const auto some = ids.first(std::min(batch, ids.size()));
    ids = ids.subspan(some.size());
    std::vector<Index::Update> updates;
    for (auto& record : folder_->records(some)) updates.push_back({std::move(record)});
    if (auto written = index_.write(updates, clock_->wall()); !written) return written;
  }
  return {};
}

}  // namespace odmr::queue
