#include "provider/held_in_directory.hpp"

#include <algorithm>
#include <array>
#include <asio/this_coro.hpp>
#include <utility>

#include "smtp/path.hpp"

namespace odmr::provider {

namespace {

using net::Task;

constexpr std::size_t k_piece = 64 * 1024;
constexpr std::size_t k_worth_indexing = 256;

// Empty where nobody can be the customer for it.
std::string domain_of(const spool::Recipient& recipient) {
  const auto mailbox = smtp::parse_mailbox(recipient.address);
  if (!mailbox) return {};
  const auto domain = smtp::canonical_domain(mailbox->domain);
  return domain ? *domain : std::string();
}

std::vector<WaitingMail::Place> places_of(const spool::Envelope& envelope, const std::set<std::size_t>& done = {}) {
  std::vector<WaitingMail::Place> places;
  for (std::size_t i = 0; i < envelope.recipients.size(); ++i) {
    if (!done.contains(i)) places.push_back({i, domain_of(envelope.recipients[i])});
  }
  return places;
}

// Hands every piece of the message to `see`, down to the checksum at its end.
template <class See>
Result<void> read_through(spool::MessageReader& message, See see) {
  std::array<char, k_piece> piece;
  for (;;) {
    const auto count = message.read(piece.data(), piece.size());
    if (!count) return fail(count.error());
    if (*count == 0) return {};
    if (auto seen = see(std::string_view(piece.data(), *count)); !seen) return seen;
  }
}

Result<spool::MessageReader> open_whole(const spool::Store& store, const std::string& id) {
  auto message = store.open(id);
  if (!message) return message;
  if (auto whole = read_through(*message, [](std::string_view) { return Result<void>(); }); !whole)
    return fail(whole.error());
  message->rewind();
  return message;
}

spool::Envelope bounce_envelope(const std::string& id, const spool::Envelope& original,
                                const std::vector<Refused>& refused) {
  spool::Envelope envelope{original.arrival, original.reverse_path, original.attributes, {}};
  envelope.attributes[k_held_as] = id;
  for (const auto& one : refused) {
    spool::Recipient recipient = original.recipients.at(one.recipient);
    recipient.attributes[k_reply] = one.reply.joined();
    envelope.recipients.push_back(std::move(recipient));
  }
  return envelope;
}

Result<std::string> write_bounce(spool::Store::Draft& draft, spool::MessageReader& message) {
  message.rewind();
  const auto copied = read_through(message, [&](std::string_view piece) { return draft.write(piece); });
  if (!copied) return fail(copied.error());
  return draft.commit();
}

}  // namespace

struct HeldInDirectory::StoredDraft final : Draft {
  StoredDraft(spool::Store::Draft draft_of, std::vector<WaitingMail::Place> places_of)
      : draft(std::move(draft_of)), places(std::move(places_of)) {}

  Result<void> write(std::string_view piece) override {
    octets += piece.size();
    return draft.write(piece);
  }
  const std::string& id() const override { return draft.id(); }

  spool::Store::Draft draft;
  std::vector<WaitingMail::Place> places;
  std::uint64_t octets = 0;
};

// What was taken of a message, on its way to the disk, and who waits for that.
struct HeldInDirectory::Job {
  spool::Store::Change change;
  std::optional<Result<void>> result;
};

HeldInDirectory::HeldInDirectory(std::string spool, spool::Store held, spool::Store bounces, spool::Store failed,
                                 net::Worker& disk, Log& log)
    : spool_(std::move(spool)),
      held_(std::move(held)),
      bounces_(std::move(bounces)),
      failed_(std::move(failed)),
      disk_(disk),
      log_(log) {}

Result<std::unique_ptr<HeldInDirectory>> HeldInDirectory::in(const std::string& spool, net::Worker& disk, Log& log,
                                                             FileOps& files, bool is_told) {
  auto held = open_folder(spool, Folder::held, files);
  if (!held) return fail(held.error());
  auto bounces = open_folder(spool, Folder::bounces, files);
  if (!bounces) return fail(bounces.error());
  auto failed = open_folder(spool, Folder::failed, files);
  if (!failed) return fail(failed.error());
  std::unique_ptr<HeldInDirectory> mail(
      new HeldInDirectory(spool, std::move(*held), std::move(*bounces), std::move(*failed), disk, log));
  if (auto recovered = mail->recover(); !recovered) return fail(recovered.error());
  // What comes between the two is told twice, and learned once.
  if (is_told) mail->follow(spool);
  const auto listing = mail->held_.list();
  if (!listing) return fail(listing.error());
  mail->learn_all(*listing);
  return mail;
}

HeldInDirectory::~HeldInDirectory() {
  if (!index_ && unindexed_.size() < k_worth_indexing) return;
  if (is_indexed_) index_written(write_index(unindexed_));
}

Result<void> HeldInDirectory::recover() {
  for (spool::Store* store : {&held_, &bounces_, &failed_}) {
    const auto recovery = store->recover();
    if (!recovery) return fail(recovery.error());
    for (const auto& name : recovery->removed) log_.info("cleared what a crash left", {{"file", name}});
    say_skipped(recovery->skipped);
  }
  return {};
}

// Without it the spool is listed each time.
void HeldInDirectory::follow(const std::string& spool) {
  auto news = spool::News::of(spool);
  if (news)
    news_.emplace(std::move(*news));
  else
    log_.warn("the kernel does not tell what comes into the spool: it is listed for each ATRN",
              {{"why", news.error().text}});
}

std::optional<int> HeldInDirectory::news() const {
  if (!news_) return std::nullopt;
  return news_->descriptor();
}

// --- the index

// Without it each message is opened at a start.
std::map<std::string, IndexedMessage> HeldInDirectory::read_index() {
  std::map<std::string, IndexedMessage> indexed;
  const auto begun = HeldIndex::is_begun(spool_);
  auto read = begun && *begun ? open_index() : Result<void>();
  if (!begun) read = fail(begun.error());
  if (read && index_) {
    read = index_->each([&indexed](IndexedMessage message) {
      std::string id = message.id;
      indexed.emplace_hint(indexed.end(), std::move(id), std::move(message));
    });
  }
  if (read) return indexed;
  give_up_index("the index of the spool cannot be read: each message is", read.error());
  return {};
}

Result<void> HeldInDirectory::open_index() {
  auto index = HeldIndex::open(spool_);
  if (!index) return fail(index.error());
  index_.emplace(std::move(*index));
  return {};
}

void HeldInDirectory::give_up_index(const std::string& what, const Error& why) {
  log_.warn(what, {{"file", HeldIndex::path_in(spool_)}, {"why", why.text}});
  is_indexed_ = false;
  index_.reset();
  unindexed_ = {};
}

// What has notes is read: some of its recipients may have it.
void HeldInDirectory::learn_all(const spool::Store::Listing& listing) {
  auto indexed = read_index();
  say_skipped(listing.skipped);
  for (const auto& id : listing.ids) {
    const auto known = indexed.find(id);
    if (known == indexed.end() || listing.notes.contains(id))
      learn(id, listing.notes.contains(id));
    else
      has_come(id, known->second.octets, known->second.places);
    if (known != indexed.end()) indexed.erase(known);
  }
  for (const auto& [id, message] : indexed) unindexed_.gone.push_back(id);
  const auto changes = take_worth_indexing();
  if (changes) index_written(write_index(*changes));
}

void HeldInDirectory::note_come(const std::string& id, std::uint64_t octets,
                                const std::vector<WaitingMail::Place>& places) {
  if (is_indexed_) unindexed_.come.push_back({id, octets, places});
}

// Whoever works on the disk anyway writes it, and says index_written(): nobody waits for the index alone. A spool with
// little in it gets none.
std::optional<IndexChanges> HeldInDirectory::take_worth_indexing() {
  if (!is_indexed_ || is_indexing_ || unindexed_.size() < k_worth_indexing) return std::nullopt;
  is_indexing_ = true;
  return std::exchange(unindexed_, {});
}

// On the disk's thread.
Result<void> HeldInDirectory::write_index(const IndexChanges& changes) {
  if (!index_) {
    if (auto opened = open_index(); !opened) return opened;
  }
  return index_->write(changes);
}

void HeldInDirectory::index_written(const Result<void>& written) {
  is_indexing_ = false;
  if (!written)
    give_up_index("the index of the spool cannot be written: what it lacks is read at the next start", written.error());
}

void HeldInDirectory::say_skipped(const std::vector<spool::Store::Skipped>& skipped) {
  for (const auto& one : skipped) {
    if (!skipped_.insert(one.name).second) continue;
    log_.warn("left alone in the spool", {{"file", one.name}, {"why", one.why}});
  }
}

// --- it comes

Result<std::unique_ptr<HeldMail::Draft>> HeldInDirectory::begin(const spool::Envelope& envelope) {
  auto draft = held_.begin(envelope);
  if (!draft) return fail(draft.error());
  return std::make_unique<StoredDraft>(std::move(*draft), places_of(envelope));
}

Task<Result<void>> HeldInDirectory::put(std::vector<std::unique_ptr<Draft>> drafts) {
  Result<void> all;
  const auto unindexed = take_worth_indexing();
  Result<void> indexed;
  const std::function<void()> work = [this, &drafts, &all, &unindexed, &indexed] {
    if (unindexed) indexed = write_index(*unindexed);
    std::vector<std::string> there;
    for (const auto& one : drafts) {
      const auto id = static_cast<StoredDraft&>(*one).draft.commit();
      if (id) {
        there.push_back(*id);
        continue;
      }
      // Whoever hands us the message will do so again, for all recipients.
      for (const auto& gone : there) static_cast<void>(held_.remove(gone));
      all = fail(id.error());
      return;
    }
  };
  co_await disk_.run(work);
  if (unindexed) index_written(indexed);
  if (!all) co_return all;
  for (const auto& one : drafts) {
    const auto& draft = static_cast<StoredDraft&>(*one);
    if (waiting_.contains(draft.id())) continue;
    has_come(draft.id(), draft.octets, draft.places);
    note_come(draft.id(), draft.octets, draft.places);
  }
  co_return all;
}

// --- it waits

Task<Result<void>> HeldInDirectory::look() {
  auto news = news_ ? news_->take() : spool::News::Batch{{}, true};
  for (const auto& event : news.events) {
    if (!event.has_come)
      forget(event.id);
    else if (!waiting_.contains(event.id))
      learn(event.id);
  }
  if (news.is_incomplete) {
    // What comes while the list is read may be on it, or not: only what was known before can have gone.
    const auto ids = waiting_.ids();
    const std::set<std::string> known(ids.begin(), ids.end());
    Result<spool::Store::Listing> listing = fail(Errc::io, "not tried");
    const std::function<void()> work = [this, &listing] { listing = held_.list(); };
    co_await disk_.run(work);
    if (!listing) co_return fail(listing.error());
    apply(*listing, known);
  }
  for (const auto& [id, recipients] : std::exchange(unrecorded_, {})) {
    const std::vector<std::size_t> owed(recipients.begin(), recipients.end());
    co_await record(id, owed);
  }
  co_return Result<void>();
}

void HeldInDirectory::apply(const spool::Store::Listing& listing, const std::set<std::string>& known) {
  say_skipped(listing.skipped);
  for (const auto& id : known) {
    // What cannot be looked at now may be under way, and its customer's word is still to be noted.
    const bool is_there =
        std::binary_search(listing.ids.begin(), listing.ids.end(), id) ||
        std::any_of(listing.skipped.begin(), listing.skipped.end(), [&](const auto& one) { return one.name == id; });
    if (!is_there) forget(id);
  }
  for (const auto& id : listing.ids) {
    if (!waiting_.contains(id)) learn(id, listing.notes.contains(id));
  }
}

void HeldInDirectory::forget(const std::string& id) {
  if (is_indexed_ && waiting_.contains(id)) unindexed_.gone.push_back(id);
  waiting_.forget(id);
  unrecorded_.erase(id);
}

void HeldInDirectory::learn(const std::string& id, bool may_have_marks) {
  const auto message = held_.open(id);
  if (!message && message.error().code == Errc::malformed) return set_aside(id, message.error().text);
  // What may have been taken already must not be offered again: without its marks a message waits.
  Result<std::set<std::size_t>> done;
  if (!message)
    done = fail(message.error());
  else if (may_have_marks)
    done = held_.done(id);
  if (!done) {
    if (done.error().code != Errc::not_found) say_skipped({{id, done.error().text}});
    return;
  }
  const auto places = places_of(message->envelope(), *done);
  has_come(id, message->size(), places);
  if (done->empty()) note_come(id, message->size(), places);
  // A crash came between the last mark and the removal.
  if (places.empty()) unrecorded_[id] = {};
}

void HeldInDirectory::set_aside(const std::string& id, const std::string& why) {
  forget(id);
  const auto moved = held_.set_aside(id, why);
  if (moved) {
    log_.error("a held message is damaged and was set aside in corrupt/", {{"id", id}, {"why", why}});
  } else {
    say_skipped({{id, why + "; it cannot be set aside: " + moved.error().text}});
  }
}

// --- it goes

Task<Result<spool::MessageReader>> HeldInDirectory::open(const std::string& id) {
  Result<spool::MessageReader> message = fail(Errc::io, "not tried");
  const std::function<void()> work = [this, &id, &message] { message = open_whole(held_, id); };
  co_await disk_.run(work);
  if (!message && message.error().code == Errc::malformed) set_aside(id, message.error().text);
  if (!message && message.error().code == Errc::not_found) forget(id);
  // An index that is wrong sends nobody what is another's.
  if (message && waiting_.contains(id) && !waiting_.agrees(id, places_of(message->envelope()))) {
    log_.error("the index of the spool was wrong about a message, which is read again", {{"id", id}});
    waiting_.forget(id);
    learn(id);
    co_return fail(Errc::busy, "the index of the spool was wrong about it");
  }
  co_return message;
}

Task<Result<void>> HeldInDirectory::done(const std::string& id, const std::vector<std::size_t>& recipients) {
  if (!waiting_.contains(id)) co_return Result<void>();  // removed by hand meanwhile
  waiting_.done(id, recipients);
  co_return co_await record(id, recipients);
}

// The last recipient's mark is the removal itself.
Task<Result<void>> HeldInDirectory::record(const std::string& id, const std::vector<std::size_t>& recipients) {
  if (!waiting_.contains(id)) co_return Result<void>();
  Job job;
  job.change.id = id;
  job.change.ends = !waiting_.done(id, {});
  for (const std::size_t recipient : recipients) job.change.notes.push_back(std::to_string(recipient));
  jobs_.push_back(&job);
  if (is_recording_ && !recorded_) {
    const auto loop = co_await asio::this_coro::executor;
    recorded_.emplace(loop);
  }
  while (!job.result) {
    if (is_recording_)
      co_await recorded_->wait();
    else
      co_await record_batch();
  }
  const bool is_gone = !*job.result && job.result->error().code == Errc::not_found;
  if (*job.result || is_gone) {
    if (job.change.ends || is_gone) forget(id);
    co_return Result<void>();
  }
  unrecorded_[id].insert(recipients.begin(), recipients.end());
  log_.error("the spool does not take the mark that a message was handed over",
             {{"id", id}, {"why", job.result->error().text}});
  co_return *job.result;
}

Task<> HeldInDirectory::record_batch() {
  is_recording_ = true;
  const auto batch = std::exchange(jobs_, {});
  std::vector<spool::Store::Change> changes;
  changes.reserve(batch.size());
  for (const Job* one : batch) changes.push_back(one->change);
  std::vector<Result<void>> results;
  const auto unindexed = take_worth_indexing();
  Result<void> indexed;
  const std::function<void()> work = [this, &changes, &results, &unindexed, &indexed] {
    results = held_.change(changes);
    if (unindexed) indexed = write_index(*unindexed);
  };
  co_await disk_.run(work);
  if (unindexed) index_written(indexed);
  for (std::size_t i = 0; i < batch.size(); ++i) batch[i]->result = results[i];
  is_recording_ = false;
  if (recorded_) recorded_->wake();
}

Task<Result<std::string>> HeldInDirectory::refuse(const std::string& id, spool::MessageReader& message,
                                                  const std::vector<Refused>& refused) {
  const auto envelope = bounce_envelope(id, message.envelope(), refused);
  // RFC 5321 6.1: no notice about mail from the null reverse-path; but it is not to vanish without a trace either.
  spool::Store& store = envelope.reverse_path.empty() ? failed_ : bounces_;
  auto draft = store.begin(envelope);
  if (!draft) co_return fail(draft.error());
  Result<std::string> bounce = fail(Errc::io, "not tried");
  const std::function<void()> work = [&draft, &message, &bounce] { bounce = write_bounce(*draft, message); };
  co_await disk_.run(work);
  if (!bounce) co_return bounce;
  has_been_refused();
  std::vector<std::size_t> recipients;
  recipients.reserve(refused.size());
  for (const auto& one : refused) recipients.push_back(one.recipient);
  const auto marked = co_await done(id, recipients);
  if (!marked) co_return fail(marked.error());
  co_return bounce;
}

}  // namespace odmr::provider
