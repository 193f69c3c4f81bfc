#include "queue/folder.hpp"

#include <array>
#include <utility>

namespace odmr::queue {

namespace {

const std::string k_held = "held/";

// Down to the checksum at its end.
Result<void> read_through(spool::MessageReader& message) {
  std::array<char, std::size_t{64} * 1024> piece;
  for (;;) {
    const auto count = message.read(piece.data(), piece.size());
    if (!count) return fail(count.error());
    if (*count == 0) break;
  }
  message.rewind();
  return {};
}

}  // namespace

Result<Folder::Dossier> Folder::read(const std::string& id) {
  auto message = store.open(id);
  // What may have been sent already must not be sent again: without its notes a message waits.
  const auto notes = message ? store.notes(id) : fail(message.error());
  if (!notes) {
    give_up(id, notes.error());
    return fail(notes.error());
  }
  Record record(id, *message, *notes);
  return Dossier{std::move(*message), std::move(record)};
}

std::vector<Record> Folder::records(std::span<const std::string> ids) {
  std::vector<Record> records;
  records.reserve(ids.size());
  for (const auto& id : ids) {
    auto dossier = read(id);
    if (!dossier) continue;
    if (!dossier->record.is_over()) {
      records.push_back(std::move(dossier->record));
      continue;
    }
    // Two keepers at once have each noted their part, where the later one should have removed it.
    const auto claim = store.lock(id);
    if (claim) static_cast<void>(store.remove(id));
  }
  return records;
}

Result<Folder::Claimed> Folder::claim(const std::string& id) {
  auto lock = store.lock(id);
  if (!lock) {
    if (lock.error().code != Errc::busy) give_up(id, lock.error());
    return fail(lock.error());
  }
  auto dossier = read(id);
  if (!dossier) return fail(dossier.error());
  return Claimed{std::move(*lock), std::move(*dossier)};
}

Result<Folder::Claimed> Folder::claim_whole(const std::string& id) {
  auto claimed = claim(id);
  if (!claimed) return claimed;
  if (auto whole = read_through(claimed->dossier.message); !whole) {
    give_up(id, whole.error());
    return fail(whole.error());
  }
  return claimed;
}

void Folder::give_up(const std::string& id, const Error& why) {
  if (why.code == Errc::not_found) return;
  if (why.code == Errc::malformed) return set_aside(id, why.text);
  leave_alone(k_held + id, why.text);
}

void Folder::set_aside(const std::string& id, const std::string& why) {
  // A reason in a file of ours would be in the owner's way.
  if (!store.is_ours()) return leave_alone(k_held + id, why);
  const auto moved = store.set_aside(id, why);
  if (!moved && moved.error().code == Errc::not_found) return;
  if (!moved) return leave_alone(k_held + id, why + "; it cannot be set aside: " + moved.error().text);
  const std::lock_guard lock(mutex_);
  set_aside_.push_back({"corrupt/" + id, why});
  log_.error("a message in the queue is damaged and was set aside in corrupt/", {{"id", id}, {"why", why}});
}

void Folder::leave_alone(const std::string& file, const std::string& why) {
  const std::lock_guard lock(mutex_);
  if (!said_.insert(file).second) return;
  log_.warn("left alone in the queue", {{"file", file}, {"why", why}});
  // Anything else that lies there is nobody's mail.
  const bool is_message = file.starts_with(k_held) && spool::Store::is_id(file.substr(k_held.size()));
  if (is_message) left_alone_.push_back({file, why});
}

std::vector<Unusable> Folder::set_aside() const {
  const std::lock_guard lock(mutex_);
  return set_aside_;
}

std::vector<Unusable> Folder::left_alone() const {
  const std::lock_guard lock(mutex_);
  return left_alone_;
}

}  // namespace odmr::queue
