#include "queue/queue.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/random.hpp"
#include "queue/lasting_index.hpp"
#include "queue/record.hpp"
#include "queue/schedule.hpp"

namespace odmr::queue {

namespace {

using Kind = Note::Kind;

constexpr std::size_t k_batch = 1000;  // rows written at once: others may write between two batches
constexpr std::size_t k_page = 500;    // entries read at once
constexpr std::size_t k_letters = 64;  // open at once in expire()
// In 2025: a clock that says less has not been set since the machine was switched on, and says nothing of messages.
constexpr WallTime k_surely_past{std::chrono::seconds(1'735'689'600)};

// The parts of `all` with at most `size` each.
template <class Use>
Result<void> in_batches(std::span<const std::string> all, std::size_t size, Use use) {
  while (!all.empty()) {
    const auto batch = all.first(std::min(size, all.size()));
    if (auto used = use(batch); !used) return used;
    all = all.subspan(batch.size());
  }
  return {};
}

std::optional<Index::Tried> tried_from(const Attempt& attempt) {
  const bool is_nothing =
      attempt.sent.empty() && attempt.failed.empty() && attempt.put_off.empty() && attempt.trouble.empty();
  if (is_nothing) return std::nullopt;
  Index::Tried tried{std::nullopt, attempt.trouble, attempt.put_off};
  for (const auto* answers : {&attempt.put_off, &attempt.failed}) {
    if (tried.reply.empty() && !answers->empty()) tried.reply = answers->back().reply.joined();
  }
  return tried;
}

}  // namespace

struct Queue::State {
  State(spool::Store store, const QueueOptions& queue_options, Clock& its_clock, Log& its_log)
      : options(queue_options), clock(its_clock), log(its_log), folder(std::move(store), its_log) {}

  // One operation on the index.
  template <class Operation>
  auto on_index(Operation operation) -> decltype(operation(std::declval<Index&>())) {
    const std::lock_guard lock(mutex);
    return index->with(std::move(operation));
  }

  struct Differences {
    std::vector<std::string> changed;
    std::vector<std::string> gone;
  };
  Result<Differences> compare(const spool::Store::Listing& listing);
  Result<void> learn(std::span<const std::string> ids);
  Result<void> learn(const Record& record);
  void note_first_seen(Record& record);
  Result<void> forget(std::span<const std::string> ids);
  void tidy();

  Result<void> fill_ready(bool all);
  Result<std::vector<std::string>> due_notices(bool all);
  bool is_tainted(const std::string& id);
  void taint(const std::string& id);
  std::optional<Folder::Claimed> claim_for_work(const std::string& id);
  Result<Folder::Claimed> claim_by_hand(const std::string& id);
  double chance();

  struct Settling {
    std::optional<Record> record;  // none: the message is gone
    spool::Store::Change change;
    Result<void> result;
  };
  using Records = std::map<std::string, Record>;
  Settling begin_settling(const Attempt& attempt, Records& records);
  Result<Record> record_for(const std::string& id, Records& records);
  void write_down(const std::vector<Attempt>& attempts, const std::vector<Settling>& settlings);
  spool::Store::Change change_of(Record& record, const std::vector<Note>& notes);
  void say_stuck(const Record& record, const std::vector<Note>& notes);
  Result<void> write_notes(Record& record, const std::vector<Note>& notes);
  Attempt last_words(const Letter& letter, const smtp::Reply& reply);

  const QueueOptions options;
  Clock& clock;
  Log& log;
  Folder folder;

  bool is_keeper = false;  // holds the lock: may write notes unasked

  std::mutex mutex;  // guards what follows, and is not held while a disk is synced
  std::optional<LastingIndex> index;
  std::unordered_map<std::string, Record> taken;
  std::vector<std::string> ready;  // to be given by due(), the next one last
  bool ready_is_all = false;
  std::unordered_set<std::string> given;
  std::unordered_set<std::string> noticed;
  std::unordered_set<std::string> tainted;
  std::mt19937_64 random{random_bits()};
};

// --- opening

Queue::Queue(std::unique_ptr<State> state) : state_(std::move(state)) {}
Queue::~Queue() = default;
Queue::Queue(Queue&&) noexcept = default;

Result<Queue> Queue::in(const std::string& directory, const QueueOptions& options, Clock& clock, Log& log,
                        FileOps& files) {
  auto store = spool::Store::in(directory, files);
  if (!store) return fail(store.error());
  auto state = std::make_unique<State>(std::move(*store), options, clock, log);
  auto index = LastingIndex::in(directory, state->folder, clock, log);
  if (!index) return fail(index.error());
  state->index.emplace(std::move(*index));
  return Queue(std::move(state));
}

Result<void> Queue::recover() {
  const auto recovery = state_->folder.store.recover();
  if (!recovery) return fail(recovery.error());
  for (const auto& name : recovery->removed) state_->log.info("cleared what a crash left", {{"file", name}});
  for (const auto& one : recovery->skipped) state_->folder.leave_alone(one.name, one.why);
  const std::lock_guard lock(state_->mutex);
  state_->is_keeper = state_->folder.store.is_ours();
  state_->index->hold_lock();
  return {};
}

// --- following the directory

Result<void> Queue::refresh() {
  const auto listing = state_->folder.store.list();
  if (!listing) return fail(listing.error());
  for (const auto& one : listing->skipped) state_->folder.leave_alone("held/" + one.name, one.why);
  auto differences = state_->compare(*listing);
  if (!differences) return fail(differences.error());
  // A message may have come since the directory was listed; one that is gone never comes again.
  std::erase_if(differences->gone, [this](const std::string& id) {
    const auto is_there = state_->folder.store.contains(id);
    return !is_there || *is_there;
  });
  if (auto forgotten = state_->forget(differences->gone); !forgotten) return forgotten;
  return state_->learn(differences->changed);
}

// Both stand in the order of their ids.
Result<Queue::State::Differences> Queue::State::compare(const spool::Store::Listing& listing) {
  return on_index([&](Index& it) -> Result<Differences> {
    Differences differences;
    auto id = listing.ids.begin();
    const WallTime future = clock.wall() + std::chrono::hours(24);
    const auto seen = it.each([&](std::string_view row, std::uint64_t notes, WallTime arrival) {
      for (; id != listing.ids.end() && *id < row; ++id) differences.changed.push_back(*id);
      if (id == listing.ids.end() || *id != row) {
        differences.gone.emplace_back(row);
        return;
      }
      const auto found = listing.notes.find(*id);
      const std::uint64_t size = found == listing.notes.end() ? 0 : found->second;
      const bool is_to_be_noted = is_keeper && arrival > future;
      if (size != notes || is_to_be_noted) differences.changed.push_back(*id);
      ++id;
    });
    if (!seen) return fail(seen.error());
    differences.changed.insert(differences.changed.end(), id, listing.ids.end());
    return differences;
  });
}

Result<void> Queue::State::learn(std::span<const std::string> ids) {
  return in_batches(ids, k_batch, [this](std::span<const std::string> batch) -> Result<void> {
    std::vector<Index::Update> updates;
    std::set<std::string> lost(batch.begin(), batch.end());
    for (auto& record : folder.records(batch)) {
      lost.erase(record.id);
      if (record.is_ahead(clock.wall())) note_first_seen(record);
      updates.push_back({std::move(record)});
    }
    if (auto forgotten = forget(std::vector(lost.begin(), lost.end())); !forgotten) return forgotten;
    auto written = on_index([&](Index& it) { return it.write(updates, clock.wall()); });
    tidy();
    return written;
  });
}

// From then on it grows old, by whatever clock; or it would wait for ever.
void Queue::State::note_first_seen(Record& record) {
  if (!is_keeper || record.first_seen || clock.wall() < k_surely_past) return;
  const auto claim = folder.store.lock(record.id);
  if (!claim) return;  // in somebody's hands: the next refresh() finds it again
  Record noted = record;
  if (const auto written = write_notes(noted, {{Kind::seen, 0, clock.wall(), {}}}); !written) {
    log.warn("a message from the future may wait for ever", {{"id", record.id}, {"why", written.error().text}});
    return;
  }
  record = std::move(noted);
  log.warn("a message comes from the future, by a clock that was wrong; its lifetime begins now", {{"id", record.id}});
}

Result<void> Queue::State::learn(const Record& record) {
  return on_index([&](Index& it) { return it.write({{record}}, clock.wall()); });
}

Result<void> Queue::State::forget(std::span<const std::string> ids) {
  return in_batches(ids, k_batch, [this](std::span<const std::string> batch) {
    return on_index([&](Index& it) { return it.forget({batch.begin(), batch.end()}); });
  });
}

// Not under the mutex: it syncs.
void Queue::State::tidy() {
  {
    const std::lock_guard lock(mutex);
    if (!index->wants_checkpoint()) return;
  }
  const auto moved = db::Database::checkpoint(index->path());
  if (!moved) log.debug("the log of the index stays as it is", {{"why", moved.error().text}});
}

std::vector<Unusable> Queue::set_aside() const {
  return state_->folder.set_aside();
}

std::vector<Unusable> Queue::left_alone() const {
  return state_->folder.left_alone();
}

// --- for the sender

Result<void> Queue::try_note() {
  auto tried = state_->folder.store.try_note();
  if (!tried)
    return fail(tried.error().code, "what becomes of a message cannot be written down: " + tried.error().text);
  return tried;
}

Result<void> Queue::State::fill_ready(bool all) {
  if (!ready.empty() && ready_is_all == all) return {};
  auto due = index->with([&](Index& it) { return it.due(all, clock.wall()); });
  if (!due) return fail(due.error());
  std::erase_if(*due, [this](const std::string& id) { return given.contains(id) || tainted.contains(id); });
  std::reverse(due->begin(), due->end());
  ready = std::move(*due);
  ready_is_all = all;
  return {};
}

Result<std::vector<std::string>> Queue::due(bool all, std::size_t most) {
  const std::lock_guard lock(state_->mutex);
  if (auto filled = state_->fill_ready(all); !filled) return fail(filled.error());
  std::vector<std::string> ids;
  while (ids.size() < most && !state_->ready.empty()) {
    ids.push_back(std::move(state_->ready.back()));
    state_->ready.pop_back();
    state_->given.insert(ids.back());
  }
  return ids;
}

Result<bool> Queue::has_due(bool all) {
  const std::lock_guard lock(state_->mutex);
  if (auto filled = state_->fill_ready(all); !filled) return fail(filled.error());
  return !state_->ready.empty();
}

bool Queue::State::is_tainted(const std::string& id) {
  const std::lock_guard lock(mutex);
  return tainted.contains(id);
}

// What became of it may not be on disk.
void Queue::State::taint(const std::string& id) {
  const std::lock_guard lock(mutex);
  tainted.insert(id);
}

// No value for any reason why it cannot be worked on now; what has to be said about it has been said.
std::optional<Folder::Claimed> Queue::State::claim_for_work(const std::string& id) {
  if (is_tainted(id)) return std::nullopt;
  auto claimed = folder.claim_whole(id);
  if (!claimed) {
    // The next refresh() would do it, too.
    const auto& why = claimed.error();
    if (why.code == Errc::not_found) static_cast<void>(forget({&id, 1}));
    const bool is_left_alone = why.code != Errc::not_found && why.code != Errc::malformed && why.code != Errc::busy;
    if (is_left_alone) {
      static_cast<void>(on_index([&](Index& it) { return it.set_reply(id, "it cannot be read: " + why.text); }));
    }
    return std::nullopt;
  }
  return std::move(*claimed);
}

Result<std::optional<Letter>> Queue::take(const std::string& id) {
  auto claimed = state_->claim_for_work(id);
  if (!claimed) return std::nullopt;
  auto& [message, record] = claimed->dossier;
  auto waiting = record.waiting();
  if (waiting.empty() || record.is_held) {
    // The index did not know.
    if (auto learned = state_->learn(record); !learned) return fail(learned.error());
    return std::nullopt;
  }
  const WallTime since = record.waits_since(state_->clock.wall());
  const std::lock_guard lock(state_->mutex);
  state_->taken.insert_or_assign(id, std::move(record));
  return Letter{id, std::move(message), std::move(waiting), std::move(claimed->claim), since};
}

double Queue::State::chance() {
  return std::uniform_real_distribution<>()(random);
}

// Adds the notes to the record, and gives what they mean for the files. The last recipient's note is the removal.
spool::Store::Change Queue::State::change_of(Record& record, const std::vector<Note>& notes) {
  spool::Store::Change change{record.id, {}, false};
  for (const auto& note : notes) {
    record.add(note);
    change.notes.push_back(text_of(note));
    record.notes += spool::Store::size_of_note(change.notes.back());
  }
  change.ends = record.is_over();
  if (change.ends) change.notes.clear();
  return change;
}

// Of what the queue itself has found to be stuck; who says so of a bounce knows it.
void Queue::State::say_stuck(const Record& record, const std::vector<Note>& notes) {
  for (const auto& note : notes) {
    const bool is_failure = note.kind == Kind::failed || note.kind == Kind::undeliverable;
    if (!is_failure || !record.recipients.at(note.recipient).is_stuck) continue;
    const Log::Fields fields = {
        {"id", record.id}, {"recipient", record.recipients[note.recipient].address}, {"reply", note.reply}};
    if (options.keeps_undeliverable)
      log.error("a message cannot be delivered, and nobody can be told; it stays in the queue", fields);
    else
      log.warn("a message cannot be delivered, and nobody can be told; it is given up", fields);
  }
}

// What was known when the message was taken, and where that is not there, what the files say.
Result<Record> Queue::State::record_for(const std::string& id, Records& records) {
  if (const auto found = records.find(id); found != records.end()) return found->second;
  {
    const std::lock_guard lock(mutex);
    if (auto mine = taken.extract(id)) return std::move(mine.mapped());
  }
  auto dossier = folder.read(id);
  if (!dossier) return fail(dossier.error());
  return std::move(dossier->record);
}

Queue::State::Settling Queue::State::begin_settling(const Attempt& attempt, Records& records) {
  Settling settling;
  settling.change.id = attempt.id;
  auto record = record_for(attempt.id, records);
  if (!record) {
    settling.result = fail(record.error());
    return settling;
  }
  const auto notes = judge(*record, attempt, clock.wall(), options.lifetime);
  settling.change = change_of(*record, notes);
  say_stuck(*record, notes);
  records.insert_or_assign(attempt.id, *record);
  settling.record = std::move(*record);
  return settling;
}

std::vector<Result<void>> Queue::settle(const std::vector<Attempt>& attempts) {
  State::Records records;
  std::vector<State::Settling> settlings;
  std::vector<spool::Store::Change> changes;
  for (const auto& attempt : attempts) {
    settlings.push_back(state_->begin_settling(attempt, records));
    changes.push_back(settlings.back().change);
  }
  const auto changed = state_->folder.store.change(changes);
  std::vector<Result<void>> results;
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    auto& settling = settlings[i];
    if (settling.result) settling.result = changed[i];
    // Its letter was not kept until now, and somebody removed it.
    if (!settling.result && settling.result.error().code == Errc::not_found) settling = {{}, {}, {}};
    if (!settling.result) state_->taint(attempts[i].id);
    results.push_back(settling.result);
  }
  state_->write_down(attempts, settlings);
  state_->tidy();
  return results;
}

void Queue::State::write_down(const std::vector<Attempt>& attempts, const std::vector<Settling>& settlings) {
  std::vector<Index::Update> updates;
  std::vector<std::string> gone;
  const std::lock_guard lock(mutex);
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    const auto& settling = settlings[i];
    if (!settling.result) continue;
    if (settling.change.ends || !settling.record) {
      gone.push_back(attempts[i].id);
      continue;
    }
    auto tried = tried_from(attempts[i]);
    if (!tried) continue;
    const bool is_put_off = !attempts[i].put_off.empty() || !attempts[i].trouble.empty();
    if (is_put_off) tried->next_try = next_try(settling.record->waits_since(clock.wall()), clock.wall(), chance());
    updates.push_back({*settling.record, std::move(tried)});
  }
  // What they cannot write is found by the next refresh().
  static_cast<void>(index->with([&](Index& it) { return it.write(updates, clock.wall()); }));
  static_cast<void>(index->with([&](Index& it) { return it.forget(gone); }));
}

// An attempt that was none: what waits in the letter has been put off for the last time.
Attempt Queue::State::last_words(const Letter& letter, const smtp::Reply& reply) {
  Attempt attempt;
  attempt.id = letter.id;
  const auto entry = on_index([&](Index& it) { return it.find(letter.id); });
  for (const std::size_t place : letter.waiting) {
    const bool has_own = entry && *entry && place < (*entry)->recipients.size();
    const std::string own = has_own ? (*entry)->recipients[place].reply : std::string();
    attempt.put_off.push_back({place, own.empty() ? reply : reply_from(own)});
  }
  return attempt;
}

Result<std::uint64_t> Queue::expire(const smtp::Reply& reply) {
  const auto born = state_->clock.wall() - std::chrono::duration_cast<WallTime::duration>(state_->options.lifetime);
  const auto old = state_->on_index([&](Index& it) { return it.older_than(born); });
  if (!old) return fail(old.error());
  std::uint64_t expired = 0;
  const auto done = in_batches(*old, k_letters, [&](std::span<const std::string> ids) -> Result<void> {
    std::vector<Letter> letters;
    std::vector<Attempt> attempts;
    for (const auto& id : ids) {
      auto letter = take(id);
      if (!letter) return fail(letter.error());
      // The index may have its age from a clock that was wrong.
      if (!*letter || age((*letter)->since, state_->clock.wall()) <= state_->options.lifetime) continue;
      attempts.push_back(state_->last_words(**letter, reply));
      letters.push_back(std::move(**letter));
    }
    const auto results = settle(attempts);
    for (const auto& result : results) {
      if (!result) return result;
      ++expired;
    }
    return {};
  });
  if (!done) return fail(done.error());
  return expired;
}

Result<void> Queue::not_tried(const std::string& why) {
  return state_->on_index([&](Index& it) { return it.not_tried(why, state_->clock.wall()); });
}

// --- for bounces and delay notices

Result<std::vector<std::string>> Queue::State::due_notices(bool all) {
  const WallTime now = clock.wall();
  std::optional<WallTime> delayed_since;
  if (options.delay_notice) {
    delayed_since = now - std::chrono::duration_cast<WallTime::duration>(*options.delay_notice);
  }
  auto ids = index->with([&](Index& it) { return it.notices_due(all, now, delayed_since); });
  if (!ids) return ids;
  std::erase_if(*ids, [this](const std::string& id) { return noticed.contains(id) || tainted.contains(id); });
  return ids;
}

Result<std::vector<std::string>> Queue::notices_due(bool all, std::size_t most) {
  const std::lock_guard lock(state_->mutex);
  auto ids = state_->due_notices(all);
  if (!ids) return ids;
  if (ids->size() > most) ids->resize(most);
  state_->noticed.insert(ids->begin(), ids->end());
  return ids;
}

Result<bool> Queue::has_notices_due(bool all) {
  const std::lock_guard lock(state_->mutex);
  const auto ids = state_->due_notices(all);
  if (!ids) return fail(ids.error());
  return !ids->empty();
}

Result<std::optional<Notice>> Queue::take_notice(const std::string& id) {
  auto claimed = state_->claim_for_work(id);
  if (!claimed) return std::nullopt;
  auto& [message, record] = claimed->dossier;
  const WallTime since = record.waits_since(state_->clock.wall());
  Notice notice{
      Notice::About::failure, {id, std::move(message), record.waiting(), std::move(claimed->claim), since}, {}};
  for (const std::size_t place : record.to_be_told()) {
    notice.recipients.push_back({place, reply_from(record.recipients[place].reply)});
  }
  const bool is_late =
      state_->options.delay_notice && age(since, state_->clock.wall()) >= *state_->options.delay_notice;
  if (notice.recipients.empty() && is_late) {
    notice.about = Notice::About::delay;
    const auto words = state_->last_words(notice.letter, smtp::Reply(451, "4.4.7 not sent yet"));
    const auto places = record.to_hear_of_delay();
    for (const auto& one : words.put_off) {
      if (std::find(places.begin(), places.end(), one.recipient) != places.end()) notice.recipients.push_back(one);
    }
  }
  if (!notice.recipients.empty() && !record.is_held) return notice;
  // The index did not know.
  if (auto learned = state_->learn(record); !learned) return fail(learned.error());
  return std::nullopt;
}

namespace {

// What an outcome means for the message: the notes to be made, none for a notice that is to be tried again.
std::vector<Note> notes_for(const Record& record, const Notice& notice, const Queue::NoticeOutcome& outcome,
                            WallTime now, Duration lifetime) {
  using How = Queue::NoticeOutcome::How;
  How how = outcome.how;
  if (notice.about == Notice::About::delay) {
    return how == How::put_off ? std::vector<Note>() : std::vector<Note>{{Kind::delay_told, 0, {}, {}}};
  }
  if (how == How::put_off && age(record.failed_since(), now) > lifetime) how = How::undeliverable;
  if (how == How::put_off) return {};
  const auto open = record.to_be_told();
  std::vector<Note> notes;
  for (const auto& one : notice.recipients) {
    if (std::find(open.begin(), open.end(), one.recipient) == open.end()) continue;
    const bool is_told = how == How::told;
    notes.push_back({is_told ? Kind::told : Kind::undeliverable, one.recipient, {}, is_told ? "" : outcome.reply});
  }
  return notes;
}

}  // namespace

Result<void> Queue::settle_notice(const Notice& notice, const NoticeOutcome& outcome) {
  const WallTime now = state_->clock.wall();
  const std::string& id = notice.letter.id;
  const auto known = state_->folder.store.notes(id);
  if (!known) {
    state_->taint(id);
    return fail(known.error());
  }
  Record record(id, notice.letter.message, *known);
  const auto notes = notes_for(record, notice, outcome, now, state_->options.lifetime);
  if (notes.empty()) {
    const auto since = std::min(record.failed_since(), now);
    return state_->on_index([&](Index& it) -> Result<void> {
      if (auto set = it.set_next_notice(id, next_try(since, now, state_->chance())); !set) return set;
      return it.set_reply(id, outcome.reply);
    });
  }
  auto written = state_->write_notes(record, notes);
  if (!written && written.error().code == Errc::not_found) return {};
  if (!written) state_->taint(id);
  if (written && outcome.how == NoticeOutcome::How::put_off) state_->say_stuck(record, notes);
  state_->tidy();
  return written;
}

// --- for lists and for the hand

// An error is one of the files; what the index does not take is found by the next refresh().
Result<void> Queue::State::write_notes(Record& record, const std::vector<Note>& notes) {
  const auto change = change_of(record, notes);
  if (auto changed = folder.store.change({change}).front(); !changed) return changed;
  static_cast<void>(change.ends ? forget({&record.id, 1}) : learn(record));
  return {};
}

Result<std::vector<Entry>> Queue::undeliverable(std::size_t most) {
  return state_->on_index([&](Index& it) { return it.undeliverable(most); });
}

Result<void> Queue::list(const std::function<bool(const Entry&)>& see) {
  std::string last;
  for (;;) {
    // Nothing is held while somebody reads what he sees.
    const auto page = state_->on_index([&](Index& it) { return it.page(last, k_page); });
    if (!page) return fail(page.error());
    for (const auto& entry : *page) {
      if (!see(entry)) return {};
    }
    if (page->size() < k_page) return {};
    last = page->back().id;
  }
}

Result<Entry> Queue::show(const std::string& id) {
  const auto dossier = state_->folder.read(id);
  if (!dossier) return fail(dossier.error());
  const auto indexed = state_->on_index([&](Index& it) { return it.find(id); });
  if (!indexed) return fail(indexed.error());
  const auto& record = dossier->record;
  Entry entry = *indexed ? **indexed : Entry();
  entry.id = id;
  entry.arrival = record.arrival;
  entry.size = record.size;
  entry.reverse_path = record.reverse_path;
  entry.stopped = record.stopped();
  entry.is_untold = record.is_untold();
  if (entry.stopped == Stopped::undeliverable && !record.why_untold().empty()) entry.reply = record.why_untold();
  if (!*indexed) entry.next_try = std::min(record.arrival, state_->clock.wall());
  entry.recipients.resize(record.recipients.size());
  for (std::size_t i = 0; i < entry.recipients.size(); ++i) {
    auto& one = entry.recipients[i];
    one.address = record.recipients[i].address;
    one.attributes = dossier->message.envelope().recipients[i].attributes;
    one.standing = record.recipients[i].standing;
    if (!record.recipients[i].reply.empty()) one.reply = record.recipients[i].reply;
  }
  return entry;
}

Result<spool::MessageReader> Queue::open(const std::string& id) const {
  return state_->folder.store.open(id);
}

Result<Folder::Claimed> Queue::State::claim_by_hand(const std::string& id) {
  auto claimed = folder.claim(id);
  if (!claimed && claimed.error().code == Errc::busy) return fail(Errc::busy, id + " is being sent now");
  return claimed;
}

Result<Stopped> Queue::retry(const std::string& id) {
  auto claimed = state_->claim_by_hand(id);
  if (!claimed) return fail(claimed.error());
  Record& record = claimed->dossier.record;
  const bool is_stuck = std::any_of(record.recipients.begin(), record.recipients.end(),
                                    [](const Record::Recipient& one) { return one.is_stuck; });
  const std::vector<Note> notes(is_stuck ? 1 : 0, Note{Kind::retry, 0, {}, {}});
  if (auto written = state_->write_notes(record, notes); !written) return fail(written.error());

  const WallTime now = state_->clock.wall();
  const std::lock_guard lock(state_->mutex);
  auto set = state_->index->with([&](Index& it) -> Result<void> {
    if (auto tried = it.set_next_try(id, now); !tried) return tried;
    return it.set_next_notice(id, now);
  });
  state_->given.erase(id);
  state_->noticed.erase(id);
  if (!set) return fail(set.error());
  const auto forgetful = state_->index->why_forgetful();
  if (forgetful) return fail(forgetful->code, id + " cannot be made due: " + forgetful->text);
  return record.stopped();
}

Result<void> Queue::hold(const std::string& id) {
  auto claimed = state_->claim_by_hand(id);
  if (!claimed) return fail(claimed.error());
  Record& record = claimed->dossier.record;
  if (record.is_held) return {};
  return state_->write_notes(record, {{Kind::hold, 0, {}, {}}});
}

Result<void> Queue::release(const std::string& id) {
  auto claimed = state_->claim_by_hand(id);
  if (!claimed) return fail(claimed.error());
  Record& record = claimed->dossier.record;
  if (!record.is_held) return {};
  return state_->write_notes(record, {{Kind::release, 0, {}, {}}});
}

Result<void> Queue::remove(const std::string& id) {
  // Its envelope may be damaged: it goes all the same.
  const auto claim = state_->folder.store.lock(id);
  if (!claim && claim.error().code == Errc::busy) return fail(Errc::busy, id + " is being sent now");
  if (!claim) return fail(claim.error());
  if (auto removed = state_->folder.store.remove(id); !removed) return removed;
  static_cast<void>(state_->forget({&id, 1}));
  return {};
}

Result<Queue::Sums> Queue::sums() {
  auto sums = state_->on_index([](Index& it) { return it.sums(); });
  if (!sums) return sums;
  const auto aside = state_->folder.store.list_aside();
  if (!aside) return fail(aside.error());
  sums->set_aside = aside->size();
  return sums;
}

}  // namespace odmr::queue
