#include "spool/store.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <random>

#include "base/ascii.hpp"

namespace odmr::spool {

namespace {

// Digits and letters in the order of their codes, so that names sort as numbers; one case, and none that look alike.
constexpr std::string_view k_alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::size_t k_stamp_digits = 11;  // of five bits: microseconds until the year 3111
constexpr std::size_t k_random_digits = 6;
constexpr std::string_view k_done = ".done";
constexpr std::string_view k_why = ".why";

std::string in_digits(std::uint64_t number, std::size_t digits) {
  std::string text(digits, '0');
  for (auto place = text.rbegin(); place != text.rend(); ++place, number >>= 5) *place = k_alphabet[number & 31];
  return text;
}

std::string done_name(const std::string& id) {
  return id + std::string(k_done);
}

// Why a file must not be trusted, empty for a good one. A second link may be somebody's hold on our file, or our hold
// on somebody's.
std::string objection(const FileStatus& status, uid_t owner) {
  switch (status.kind) {
    case FileKind::symlink:
      return "it is a symbolic link";
    case FileKind::directory:
      return "it is a directory";
    case FileKind::other:
      return "it is not a regular file";
    case FileKind::regular:
      break;
  }
  if (status.links > 1) return "it has more than one link";
  if (status.owner != owner) return fmt::format("it belongs to user {}, the spool to user {}", status.owner, owner);
  return {};
}

// Where others may write, they could put anything in the place of a message.
Result<Descriptor> open_place(FileOps& files, const std::string& path, uid_t owner) {
  if (auto made = files.make_dir(path, 0700); !made) return fail(made.error());
  auto dir = files.open_dir(path);
  if (!dir) return dir;
  const auto status = files.status(dir->get());
  if (!status) return fail(status.error());
  if (status->owner != owner) return fail(Errc::denied, path + ": it belongs to another user than the spool");
  if ((status->mode & 022) != 0) return fail(Errc::denied, path + ": others may write there");
  return dir;
}

tl::unexpected<Error> no_such_message(const std::string& id) {
  return fail(Errc::not_found, "no message " + escape(id, 40));
}

// --- done marks: "\nINDEX CHECKSUM\n" each. The leading line end parts a mark from whatever a crash left before it;
// the checksum covers the id too, so a mark counts for its own message only.

std::string mark(const std::string& id, std::size_t recipient) {
  const std::string text = fmt::format("{} {}", id, recipient);
  const auto checksum = ::crc32_z(0, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  return fmt::format("\n{} {:08x}\n", recipient, checksum);
}

std::set<std::size_t> read_marks(const std::string& id, std::string_view text) {
  std::set<std::size_t> recipients;
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    const auto recipient = parse_number(line.substr(0, line.find(' ')));
    if (recipient && mark(id, *recipient) == fmt::format("\n{}\n", line)) recipients.insert(*recipient);
  }
  return recipients;
}

Result<std::string> read_whole(FileOps& files, int file) {
  constexpr std::size_t piece = std::size_t{16} * 1024;
  std::string text;
  for (;;) {
    const std::size_t had = text.size();
    text.resize(had + piece);
    const auto got = files.read(file, text.data() + had, piece);
    if (!got) return fail(got.error());
    text.resize(had + *got);
    if (*got == 0) return text;
  }
}

}  // namespace

struct Store::Places {
  FileOps& files;
  Descriptor tmp;
  Descriptor held;
  Descriptor corrupt;
  uid_t owner = 0;
};

// --- putting

Store::Draft::Draft(std::shared_ptr<const Places> places, std::string id, Descriptor file, Descriptor lock,
                    MessageWriter writer)
    : places_(std::move(places)),
      id_(std::move(id)),
      file_(std::move(file)),
      lock_(std::move(lock)),
      writer_(std::move(writer)),
      unfinished_in_(places_->tmp.get()) {}

Store::Draft::~Draft() {
  if (places_) discard();
}

void Store::Draft::discard() {
  if (unfinished_in_ >= 0) static_cast<void>(places_->files.unlink(unfinished_in_, id_));
  unfinished_in_ = -1;
  file_.reset();
  lock_.reset();
}

Result<void> Store::Draft::write(std::string_view piece) {
  if (unfinished_in_ < 0) return fail(Errc::io, "the message was given up before");
  auto written = writer_.write(piece);
  if (!written) discard();
  return written;
}

Result<std::string> Store::Draft::commit() {
  if (unfinished_in_ < 0) return fail(Errc::io, "the message was given up before");
  const auto published = publish();
  if (!published) {
    discard();
    return fail(published.error());
  }
  unfinished_in_ = -1;
  lock_.reset();
  return id_;
}

// Each step only after the one before it is certain. The lock outlives close(), so that until the file is in held/
// nobody takes it for a dead writer's. A failed sync is never tried again: the system reports a lost page only once.
Result<void> Store::Draft::publish() {
  FileOps& files = places_->files;
  if (auto ended = writer_.end(); !ended) return ended;
  if (auto synced = files.sync(file_.get()); !synced) return synced;
  if (auto closed = files.close(std::move(file_)); !closed) return closed;
  if (auto moved = files.rename(places_->tmp.get(), id_, places_->held.get(), id_); !moved) return moved;
  unfinished_in_ = places_->held.get();
  return files.sync(places_->held.get());
}

Result<Store> Store::in(const std::string& directory, FileOps& files) {
  auto places = std::make_shared<Places>(Places{files, {}, {}, {}, 0});
  if (auto made = files.make_dir(directory, 0700); !made) return fail(made.error());
  const auto root = files.open_dir(directory);
  if (!root) return fail(root.error());
  const auto status = files.status(root->get());
  if (!status) return fail(status.error());
  places->owner = status->owner;
  for (auto& [name, place] : {std::pair<const char*, Descriptor&>{"/tmp", places->tmp},
                              std::pair<const char*, Descriptor&>{"/held", places->held},
                              std::pair<const char*, Descriptor&>{"/corrupt", places->corrupt}}) {
    auto opened = open_place(files, directory + name, places->owner);
    if (!opened) return fail(opened.error());
    place = std::move(*opened);
  }
  return Store(std::move(places));
}

std::string Store::next_id(WallTime arrival) {
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(arrival.time_since_epoch()).count();
  // Messages put through one Store keep their order, within a microsecond too and when the clock is set back.
  last_stamp_ = std::max(last_stamp_ + 1, since > 0 ? static_cast<std::uint64_t>(since) : 0);
  return in_digits(last_stamp_, k_stamp_digits) + in_digits(std::random_device()(), k_random_digits);
}

bool Store::is_id(std::string_view text) {
  return text.size() == k_stamp_digits + k_random_digits &&
         text.find_first_not_of(k_alphabet) == std::string_view::npos;
}

Result<Store::Draft> Store::begin(const Envelope& envelope) {
  for (int attempt = 0; attempt < 8; ++attempt) {
    auto draft = try_begin(envelope);
    if (!draft) return fail(draft.error());
    if (*draft) return std::move(**draft);
  }
  return fail(Errc::io, "no free name in the spool");
}

// No draft, and no error, when the name was taken, or when somebody's recover() saw the file before it was locked.
Result<std::optional<Store::Draft>> Store::try_begin(const Envelope& envelope) {
  FileOps& files = places_->files;
  const std::string id = next_id(envelope.arrival);
  auto file = files.create(places_->tmp.get(), id, 0600);
  if (!file && file.error().code == Errc::busy) return std::nullopt;
  if (!file) return fail(file.error());

  const auto give_up = [&](Error error) {
    static_cast<void>(files.unlink(places_->tmp.get(), id));
    return fail(std::move(error));
  };
  auto lock = files.lock(file->get());
  if (!lock && lock.error().code == Errc::busy) return std::nullopt;
  if (!lock) return give_up(lock.error());
  const auto status = files.status(file->get());
  if (!status) return give_up(status.error());
  if (status->links == 0) return std::nullopt;
  if (const auto why = objection(*status, places_->owner); !why.empty())
    return give_up({Errc::denied, id + ": " + why});
  auto writer = MessageWriter::begin(files, file->get(), envelope);
  if (!writer) return give_up(writer.error());
  return Draft(places_, id, std::move(*file), std::move(*lock), std::move(*writer));
}

// --- reading

Result<Store::Listing> Store::list() const {
  const auto names = places_->files.list(places_->held.get());
  if (!names) return fail(names.error());
  Listing listing;
  for (const auto& name : *names) {
    if (name.ends_with(k_done) && is_id(std::string_view(name).substr(0, name.size() - k_done.size()))) continue;
    if (!is_id(name)) {
      listing.skipped.push_back({name, "its name is none of ours"});
      continue;
    }
    const auto status = places_->files.status_at(places_->held.get(), name);
    if (!status && status.error().code == Errc::not_found) continue;  // removed since the names were read
    const std::string why = status ? objection(*status, places_->owner) : status.error().text;
    if (why.empty()) {
      listing.ids.push_back(name);
    } else {
      listing.skipped.push_back({name, why});
    }
  }
  return listing;
}

Result<Descriptor> Store::open_checked(const std::string& name) const {
  auto file = places_->files.open(places_->held.get(), name);
  if (!file) return file;
  const auto status = places_->files.status(file->get());
  if (!status) return fail(status.error());
  if (const auto why = objection(*status, places_->owner); !why.empty()) return fail(Errc::denied, name + ": " + why);
  return file;
}

Result<MessageReader> Store::open(const std::string& id) const {
  if (!is_id(id)) return no_such_message(id);
  auto file = open_checked(id);
  if (!file && file.error().code == Errc::not_found) return no_such_message(id);
  if (!file) return fail(file.error());
  auto reader = MessageReader::open(places_->files, std::move(*file));
  if (!reader) return fail(reader.error().code, id + ": " + reader.error().text);
  return reader;
}

Result<bool> Store::is_in(const Descriptor& place, const std::string& name) const {
  const auto status = places_->files.status_at(place.get(), name);
  if (!status && status.error().code == Errc::not_found) return false;
  if (!status) return fail(status.error());
  return true;
}

// --- working on them

Result<void> Store::mark_done(const std::string& id, const std::vector<std::size_t>& recipients) {
  FileOps& files = places_->files;
  const auto held = is_id(id) ? is_in(places_->held, id) : Result<bool>(false);
  if (!held) return fail(held.error());
  if (!*held) return no_such_message(id);

  auto file = files.append(places_->held.get(), done_name(id), 0600);
  if (!file) return fail(file.error());
  const auto status = files.status(file->get());
  if (!status) return fail(status.error());
  if (const auto why = objection(*status, places_->owner); !why.empty()) {
    return fail(Errc::denied, done_name(id) + ": " + why);
  }
  std::string marks;
  for (const std::size_t recipient : recipients) marks += mark(id, recipient);
  if (auto written = files.write(file->get(), marks); !written) return written;
  if (auto synced = files.sync(file->get()); !synced) return synced;
  if (auto closed = files.close(std::move(*file)); !closed) return closed;
  // Also where the file was there before: the call that made it may have failed before this.
  return files.sync(places_->held.get());
}

Result<std::set<std::size_t>> Store::done(const std::string& id) const {
  if (!is_id(id)) return no_such_message(id);
  const auto file = open_checked(done_name(id));
  if (!file && file.error().code == Errc::not_found) return std::set<std::size_t>();
  if (!file) return fail(file.error());
  const auto text = read_whole(places_->files, file->get());
  if (!text) return fail(text.error());
  return read_marks(id, *text);
}

Result<void> Store::remove(const std::string& id) {
  if (!is_id(id)) return no_such_message(id);
  FileOps& files = places_->files;
  auto unlinked = files.unlink(places_->held.get(), id);
  if (!unlinked && unlinked.error().code == Errc::not_found) return no_such_message(id);
  if (!unlinked) return unlinked;
  if (auto synced = files.sync(places_->held.get()); !synced) return synced;
  // Most messages have no marks; should this fail, recover() sees to it.
  static_cast<void>(files.unlink(places_->held.get(), done_name(id)));
  return {};
}

Result<void> Store::set_aside(const std::string& id, std::string_view why) {
  if (!is_id(id)) return no_such_message(id);
  FileOps& files = places_->files;
  // The reason is a help to people; the message is moved without it, too.
  if (auto note = files.create(places_->corrupt.get(), id + std::string(k_why), 0600)) {
    static_cast<void>(files.write(note->get(), std::string(why) + "\n"));
  }
  if (auto moved = files.rename(places_->held.get(), id, places_->corrupt.get(), id); !moved) return moved;
  const auto marks = files.rename(places_->held.get(), done_name(id), places_->corrupt.get(), done_name(id));
  if (!marks && marks.error().code != Errc::not_found) return fail(marks.error());
  if (auto synced = files.sync(places_->corrupt.get()); !synced) return synced;
  return files.sync(places_->held.get());
}

// --- recovery

Result<Store::Recovery> Store::recover() {
  Recovery recovery;
  const auto unfinished = places_->files.list(places_->tmp.get());
  if (!unfinished) return fail(unfinished.error());
  for (const auto& name : *unfinished) recover_tmp(name, recovery);
  const auto held = places_->files.list(places_->held.get());
  if (!held) return fail(held.error());
  for (const auto& name : *held) recover_held(name, recovery);
  return recovery;
}

void Store::recover_tmp(const std::string& name, Recovery& recovery) {
  FileOps& files = places_->files;
  const auto skip = [&](const std::string& why) { recovery.skipped.push_back({"tmp/" + name, why}); };
  if (!is_id(name)) return skip("its name is none of ours");
  const auto file = files.open(places_->tmp.get(), name);
  if (!file && file.error().code == Errc::not_found) return;
  if (!file) return skip(file.error().text);
  // Its lock is its writer's sign of life.
  const auto lock = files.lock(file->get());
  if (!lock && lock.error().code == Errc::busy) return;
  if (!lock) return skip(lock.error().text);
  const auto removed = files.unlink(places_->tmp.get(), name);
  if (removed) {
    recovery.removed.push_back("tmp/" + name);
  } else if (removed.error().code != Errc::not_found) {
    skip(removed.error().text);
  }
}

void Store::recover_held(const std::string& name, Recovery& recovery) {
  if (!name.ends_with(k_done)) return;
  const std::string id = name.substr(0, name.size() - k_done.size());
  if (!is_id(id)) return;
  const auto cleared = clear_marks(id);
  if (!cleared) {
    recovery.skipped.push_back({"held/" + name, cleared.error().text});
  } else if (*cleared) {
    recovery.removed.push_back("held/" + name);
  }
}

// Marks without a message go, or follow it to where it was set aside. Whether there were such.
Result<bool> Store::clear_marks(const std::string& id) {
  const auto held = is_in(places_->held, id);
  if (!held) return fail(held.error());
  if (*held) return false;
  const auto aside = is_in(places_->corrupt, id);
  if (!aside) return fail(aside.error());
  const std::string name = done_name(id);
  const auto moved = *aside ? places_->files.rename(places_->held.get(), name, places_->corrupt.get(), name)
                            : places_->files.unlink(places_->held.get(), name);
  if (!moved) return fail(moved.error());
  return true;
}

}  // namespace odmr::spool
