#include "spool/store.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "base/random.hpp"

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

// The id of the message that a file of notes is about.
std::optional<std::string> noted_id(std::string_view name) {
  if (!name.ends_with(k_done)) return std::nullopt;
  const auto id = name.substr(0, name.size() - k_done.size());
  if (!Store::is_id(id)) return std::nullopt;
  return std::string(id);
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

// --- notes: "~\nTEXT CHECKSUM\n" each. What stands before the text parts it from whatever a crash left there, and
// spoils a line that lacks its end alone, or the next note would make it count. The checksum covers the id too, so a
// note counts for its own message only.

std::string with_checksum(const std::string& id, std::string_view text) {
  const std::string whole = fmt::format("{} {}", id, text);
  const auto checksum = ::crc32_z(0, reinterpret_cast<const unsigned char*>(whole.data()), whole.size());
  return fmt::format("{} {:08x}", text, checksum);
}

std::string note_bytes(const std::string& id, std::string_view text) {
  return "~\n" + with_checksum(id, text) + "\n";
}

std::vector<std::string> read_notes(const std::string& id, std::string_view bytes) {
  std::vector<std::string> texts;
  for (;;) {
    const auto end = bytes.find('\n');
    if (end == std::string_view::npos) return texts;
    const std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    const auto space = line.rfind(' ');
    if (space == std::string_view::npos) continue;
    const std::string_view text = line.substr(0, space);
    if (with_checksum(id, text) == line) texts.emplace_back(text);
  }
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
  return in_digits(last_stamp_, k_stamp_digits) + in_digits(random_bits(), k_random_digits);
}

std::string Store::sample_id() {
  return std::string(k_stamp_digits + k_random_digits, k_alphabet.front());
}

bool Store::is_id(std::string_view text) {
  return text.size() == k_stamp_digits + k_random_digits &&
         text.find_first_not_of(k_alphabet) == std::string_view::npos;
}

std::optional<WallTime> Store::arrival_of(std::string_view id) {
  if (!is_id(id)) return std::nullopt;
  std::uint64_t stamp = 0;
  for (const char c : id.substr(0, k_stamp_digits)) stamp = stamp << 5U | k_alphabet.find(c);
  const std::chrono::microseconds since(static_cast<std::int64_t>(stamp));
  return WallTime(std::chrono::duration_cast<WallTime::duration>(since));
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
    if (const auto id = noted_id(name)) {
      const auto status = places_->files.status_at(places_->held.get(), name);
      if (status) listing.notes.emplace(*id, status->size);
      continue;
    }
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

Result<bool> Store::contains(const std::string& id) const {
  return is_id(id) ? is_in(places_->held, id) : Result<bool>(false);
}

Result<std::vector<std::string>> Store::list_aside() const {
  auto names = places_->files.list(places_->corrupt.get());
  if (!names) return names;
  std::erase_if(*names, [](const std::string& name) { return !is_id(name); });
  return names;
}

bool Store::is_ours() const {
  return ::geteuid() == places_->owner;
}

// --- working on them

Result<Descriptor> Store::lock(const std::string& id) const {
  if (!is_id(id)) return no_such_message(id);
  const auto file = open_checked(id);
  if (!file && file.error().code == Errc::not_found) return no_such_message(id);
  if (!file) return fail(file.error());
  auto lock = places_->files.lock(file->get());
  if (!lock) return lock;
  // Who had the lock before may have ended the message.
  const auto status = places_->files.status(file->get());
  if (!status) return fail(status.error());
  if (status->links == 0) return no_such_message(id);
  return lock;
}

Result<Store::Notes> Store::notes(const std::string& id) const {
  if (!is_id(id)) return no_such_message(id);
  const auto file = open_checked(done_name(id));
  if (!file && file.error().code == Errc::not_found) return Notes();
  if (!file) return fail(file.error());
  const auto bytes = read_whole(places_->files, file->get());
  if (!bytes) return fail(bytes.error());
  return Notes{read_notes(id, *bytes), bytes->size()};
}

// Up to the close, without the directory.
Result<void> Store::append_notes(const Change& change) {
  const auto held = is_id(change.id) ? is_in(places_->held, change.id) : Result<bool>(false);
  if (!held) return fail(held.error());
  if (!*held) return no_such_message(change.id);
  std::string lines;
  for (const auto& text : change.notes) {
    if (text.empty() || text.find('\n') != std::string::npos) return fail(Errc::malformed, "a note is one line");
    lines += note_bytes(change.id, text);
  }
  return append(done_name(change.id), lines);
}

Result<void> Store::append(const std::string& name, std::string_view bytes) const {
  FileOps& files = places_->files;
  // A file that another user makes here would be in the owner's way.
  if (!is_ours()) return fail(Errc::denied, fmt::format("the spool belongs to user {}", places_->owner));
  auto file = files.append(places_->held.get(), name, 0600);
  if (!file) return fail(file.error());
  const auto status = files.status(file->get());
  if (!status) return fail(status.error());
  if (const auto why = objection(*status, places_->owner); !why.empty()) return fail(Errc::denied, name + ": " + why);
  if (auto written = files.write(file->get(), bytes); !written) return written;
  if (auto synced = files.sync(file->get()); !synced) return synced;
  return files.close(std::move(*file));
}

std::vector<Result<void>> Store::change(const std::vector<Change>& changes) {
  FileOps& files = places_->files;
  std::vector<Result<void>> results;
  results.reserve(changes.size());
  bool is_changed = false;
  for (const auto& change : changes) {
    Result<void> result;
    if (change.ends) {
      result = is_id(change.id) ? files.unlink(places_->held.get(), change.id) : fail(Errc::not_found, "");
      if (!result && result.error().code == Errc::not_found) result = no_such_message(change.id);
    } else if (!change.notes.empty()) {
      result = append_notes(change);
    }
    is_changed = is_changed || (result && (change.ends || !change.notes.empty()));
    results.push_back(std::move(result));
  }
  if (!is_changed) return results;

  // Also where the file of notes was there before: the call that made it may have failed before this.
  const auto synced = files.sync(places_->held.get());
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const bool is_made = results[i] && (changes[i].ends || !changes[i].notes.empty());
    if (is_made && !synced) results[i] = fail(synced.error());
    // Most messages have no notes; should this fail, recover() sees to it.
    if (is_made && synced && changes[i].ends) {
      static_cast<void>(files.unlink(places_->held.get(), done_name(changes[i].id)));
    }
  }
  return results;
}

Result<void> Store::note(const std::string& id, const std::vector<std::string>& texts) {
  return change({{id, texts, false}}).front();
}

// The id is that of the first moment of 1970, which no message has.
Result<void> Store::try_note() const {
  const std::string id = sample_id();
  auto tried = append(done_name(id), note_bytes(id, "tried"));
  if (tried) tried = places_->files.sync(places_->held.get());
  const auto removed = places_->files.unlink(places_->held.get(), done_name(id));
  const bool is_gone = removed || removed.error().code == Errc::not_found;
  return tried && !is_gone ? removed : tried;
}

std::uint64_t Store::size_of_note(std::string_view text) {
  return note_bytes({}, text).size();
}

Result<void> Store::mark_done(const std::string& id, const std::vector<std::size_t>& recipients) {
  std::vector<std::string> numbers;
  numbers.reserve(recipients.size());
  for (const std::size_t recipient : recipients) numbers.push_back(std::to_string(recipient));
  return note(id, numbers);
}

Result<std::set<std::size_t>> Store::done(const std::string& id) const {
  const auto all = notes(id);
  if (!all) return fail(all.error());
  std::set<std::size_t> recipients;
  for (const auto& text : all->texts) {
    if (const auto recipient = parse_number(text)) recipients.insert(*recipient);
  }
  return recipients;
}

Result<void> Store::remove(const std::string& id) {
  return change({{id, {}, true}}).front();
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
  const auto id = noted_id(name);
  if (!id) return;
  const auto cleared = clear_marks(*id);
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
