#include "journal/journal.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

namespace odmr::journal {

using net::Task;

// Something to be written, and who waits for it.
struct Journal::Job {
  const Intent* intent = nullptr;
  const Verdict* verdict = nullptr;
  const std::vector<Origin>* gone = nullptr;
  bool is_flush = false;
  std::vector<EntryId> ids;  // of the intent
  std::optional<Result<void>> result;
};

namespace {

// Of receipts, in memory.
constexpr std::size_t k_much = std::size_t{256} * 1024;
constexpr std::size_t k_too_much = 16 * k_much;
// Of messages: so much of them, or so long, waits for more.
constexpr std::size_t k_worth_it = std::size_t{32} * 1024;
constexpr Duration k_fresh = std::chrono::seconds(1);
// So many pieces are dropped when the journal is opened; what is left goes when sessions begin.
constexpr int k_pieces_at_open = 20;
constexpr std::uint64_t k_entries_at_once = 1000;

// One that was put aside in the same second stays, too.
std::string free_name(const std::string& name) {
  struct stat status {};
  std::string chosen = name;
  for (int i = 2; ::lstat(chosen.c_str(), &status) == 0; ++i) chosen = name + "-" + std::to_string(i);
  return chosen;
}

Result<void> put_aside(const std::string& path, const std::string& aside) {
  for (const char* part : {"", "-wal", "-shm"}) {
    if (std::rename((path + part).c_str(), (aside + part).c_str()) != 0 && errno != ENOENT) {
      return fail(system_error(errno, "rename " + path + part));
    }
  }
  return {};
}

// The entries of a damaged journal, into a new one: all of them, or none.
Result<void> take_over(const std::string& damaged, const std::string& path) {
  auto from = Book::open_damaged(damaged);
  if (!from) return fail(from.error());
  if (auto checked = from->check(); !checked) return checked;
  auto to = Book::open(path);
  if (!to) return fail(to.error());
  auto page = to->begin(true);
  if (!page) return fail(page.error());
  for (EntryId after = 0;;) {
    const auto entries = from->entries(after, k_entries_at_once);
    if (!entries) return fail(entries.error());
    for (const auto& entry : *entries) {
      if (auto taken = page->take_over(entry); !taken) return taken;
    }
    if (entries->size() < k_entries_at_once) break;
    after = entries->back().id;
  }
  auto collected = from->each_collected(
      [&page](const Origin& origin, WallTime time) { return page->remember_collected(origin, time); });
  if (!collected) return collected;
  return page->commit();
}

bool is_had_by_somebody(const Verdict& verdict) {
  return !verdict.had.empty() || verdict.collected;
}

}  // namespace

Journal::Journal(JournalOptions options, Book writer, std::optional<Book> reader, const asio::any_io_executor& loop,
                 net::Worker& disk, Clock& clock, Log& log)
    : options_(std::move(options)),
      writer_(std::move(writer)),
      reader_(std::move(reader)),
      disk_(disk),
      clock_(clock),
      log_(log),
      changed_(loop) {}

Result<std::unique_ptr<Journal>> Journal::open(const JournalOptions& options, const asio::any_io_executor& loop,
                                               net::Worker& disk, Clock& clock, Log& log) {
  auto opened = open_whole(options, loop, disk, clock, log);
  // SQLite has the same words for a read that has failed: what is damaged is so the second time, too.
  if (!opened && opened.error().code == Errc::malformed) opened = open_whole(options, loop, disk, clock, log);
  if (!opened && opened.error().code == Errc::malformed)
    opened = begin_anew(options, opened.error(), loop, disk, clock, log);
  if (!opened) return fail(opened.error().code, options.path + ": " + opened.error().text, opened.error().cause);
  return opened;
}

// What may be offered again is worth more than all receipts, and mostly it is they that are damaged: there are more.
Result<std::unique_ptr<Journal>> Journal::begin_anew(const JournalOptions& options, const Error& why,
                                                     const asio::any_io_executor& loop, net::Worker& disk, Clock& clock,
                                                     Log& log) {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock.wall().time_since_epoch()).count();
  const std::string aside = free_name(options.path + ".damaged-" + std::to_string(now));
  if (auto put = put_aside(options.path, aside); !put) return fail(put.error());
  if (auto taken = take_over(aside, options.path); taken) {
    log.error("the journal was damaged, and a new one is begun: receipts are lost, what may be offered again is kept",
              {{"why", why.text}, {"put_aside", aside}});
  } else {
    log.error("the journal was damaged, and a new one is begun: what a line that broke left in doubt may come twice",
              {{"why", why.text}, {"put_aside", aside}});
  }
  return open_whole(options, loop, disk, clock, log);
}

// Damage that nobody has come upon when mail is there would be an error with every run from then on.
Result<std::unique_ptr<Journal>> Journal::open_whole(const JournalOptions& options, const asio::any_io_executor& loop,
                                                     net::Worker& disk, Clock& clock, Log& log) {
  auto writer = Book::open(options.path);
  if (!writer) return fail(writer.error());
  if (auto checked = writer->check(); !checked) return fail(checked.error());
  auto reader = Book::open(options.path);
  if (!reader) return fail(reader.error());
  std::unique_ptr<Journal> journal(
      new Journal(options, std::move(*writer), std::move(*reader), loop, disk, clock, log));
  if (auto tidied = journal->tidy(); !tidied) return fail(tidied.error());
  return journal;
}

Result<std::unique_ptr<Journal>> Journal::in_memory(const asio::any_io_executor& loop, net::Worker& disk, Clock& clock,
                                                    Log& log) {
  auto book = Book::in_memory();
  if (!book) return fail(book.error());
  return std::unique_ptr<Journal>(
      new Journal(JournalOptions(), std::move(*book), std::nullopt, loop, disk, clock, log));
}

Result<void> Journal::tidy() {
  const auto in_doubt = writer_.in_doubt();
  if (!in_doubt) return fail(in_doubt.error());
  tell_doubts(*in_doubt);
  auto page = writer_.begin(false);
  if (!page) return fail(page.error());
  for (const auto& entry : *in_doubt) {
    if (auto gone = page->forget(entry.id); !gone) return fail(gone.error());
  }
  if (auto old = page->forget_older_than(options_.duplicate_window, clock_.wall()); !old) return fail(old.error());
  if (auto committed = page->commit(); !committed) return committed;
  return tidy_receipts();
}

WallTime Journal::oldest_receipt() const {
  return clock_.wall() - std::chrono::duration_cast<WallTime::duration>(options_.receipts);
}

Result<void> Journal::tidy_receipts() {
  for (int piece = 0; piece < k_pieces_at_open; ++piece) {
    auto page = writer_.begin(false);
    if (!page) return fail(page.error());
    const auto dropped = page->forget_receipts(oldest_receipt());
    if (!dropped) return fail(dropped.error());
    if (!*dropped) return {};
    if (auto committed = page->commit(); !committed) return committed;
  }
  return {};
}

// RFC 1047: nobody can close this window; who looks for the cause of a double shall find it.
void Journal::tell_doubts(const std::vector<Entry>& in_doubt) {
  for (const auto& entry : in_doubt) {
    log_.warn("the last run ended before the target's answer was known: this message may come twice",
              {{"provider", entry.provider},
               {"reverse_path", entry.reverse_path},
               {"recipient", entry.recipient},
               {"bytes", std::to_string(entry.size)}});
  }
}

Result<void> Journal::settle_kept(const std::function<Result<bool>(const std::string& id)>& is_there) {
  const auto ids = writer_.kept();
  if (!ids) return fail(ids.error());
  if (ids->empty()) return {};
  auto page = writer_.begin(true);
  if (!page) return fail(page.error());
  for (const auto& id : *ids) {
    const auto found = is_there(id);
    if (!found) return fail(found.error());
    if (auto settled = page->settle_kept(id, *found); !settled) return settled;
  }
  return page->commit();
}

// --- reading

Result<bool> Journal::may_be_had(const Address& address, const std::string& connection) {
  auto* known = open_.view(address.provider, connection);
  // What is being written now may be missed, or not: whoever asks next learns it.
  const bool is_at_rest = !is_writing_ && waiting_.empty();
  if (known == nullptr && is_at_rest) {
    auto learned = learn_open(address, connection);
    if (!learned) return fail(learned.error());
    known = *learned;
  }
  if (known != nullptr && !known->may_have(address)) return false;
  return reader().may_be_had(address, connection);
}

Result<OpenAddresses::View*> Journal::learn_open(const Address& address, const std::string& connection) {
  OpenAddresses::View view(address.provider, connection);
  const auto read = reader().each_open(std::string(address.provider), connection, OpenAddresses::k_most + 1,
                                       [&view](const Address& one) { view.add(one); });
  if (!read) return fail(read.error());
  return &open_.put(std::move(view));
}

Result<std::optional<EntryId>> Journal::find(const Address& address, std::string_view digest,
                                             const std::string& connection, const std::vector<EntryId>& except) {
  return reader().find(address, digest, connection, except);
}

// --- writing

Task<Result<std::vector<EntryId>>> Journal::intend(const Intent& intent) {
  Job job;
  job.intent = &intent;
  Result<void> written = fail(Errc::busy, "others are writing");
  if (may_write_at_once()) written = write_at_once(job);
  if (!written && written.error().code == Errc::busy) written = co_await write(job);
  if (!written) co_return fail(written.error());
  co_return std::move(job.ids);
}

// The first write behind a checkpoint begins the log anew, and syncs that.
bool Journal::may_write_at_once() const {
  return !is_writing_ && waiting_.empty() && !log_begins_anew_;
}

Result<void> Journal::write_at_once(Job& job) {
  auto page = writer_.begin_at_once();
  if (!page) return fail(page.error());
  if (auto written = write_entries(*page, {&job}, read_); !written) return written;
  auto committed = page->commit();
  if (committed) read_.clear();
  return committed;
}

Task<Result<void>> Journal::settle(const Verdict& verdict) {
  open_.note(verdict);
  Job job;
  job.verdict = &verdict;
  co_return co_await write(job);
}

Task<Result<void>> Journal::forget_collected(const std::vector<Origin>& gone) {
  Job job;
  job.gone = &gone;
  co_return co_await write(job);
}

void Journal::answers_read(const std::string& connection) {
  if (std::find(read_.begin(), read_.end(), connection) == read_.end()) read_.push_back(connection);
}

void Journal::note(Receipt receipt) {
  trim_texts(receipt);
  // Not every message leads to something that is written: one that is refused at MAIL for its form does not.
  if (noted_weight_ >= k_too_much && std::holds_alternative<MessageReceipt>(receipt)) {
    is_overfull_ = true;
    return;
  }
  if (noted_.empty()) noted_since_ = clock_.now();
  noted_weight_ += weight(receipt);
  if (!std::holds_alternative<MessageReceipt>(receipt)) is_more_than_messages_ = true;
  noted_.push_back(std::move(receipt));
}

Task<> Journal::relieve() {
  if (noted_weight_ < k_much) co_return;
  const auto written = co_await flush();
  static_cast<void>(written);  // who writes next finds the same
}

Task<Result<void>> Journal::flush() {
  Job job;
  job.is_flush = true;
  co_return co_await write(job);
}

bool Journal::wants_receipts(const std::vector<Job*>& batch) const {
  return is_more_than_messages_ || noted_weight_ >= k_worth_it || clock_.now() - noted_since_ >= k_fresh ||
         std::any_of(batch.begin(), batch.end(), [](const Job* job) { return job->is_flush; });
}

std::vector<Receipt> Journal::take_receipts() {
  noted_weight_ = 0;
  is_more_than_messages_ = false;
  return std::exchange(noted_, {});
}

// Whoever finds nobody writing writes for all who wait.
Task<Result<void>> Journal::write(Job& job) {
  waiting_.push_back(&job);
  while (!job.result) {
    if (is_writing_) {
      co_await changed_.wait();
      continue;
    }
    is_writing_ = true;
    const auto batch = std::exchange(waiting_, {});
    const auto read = std::exchange(read_, {});
    std::vector<Receipt> noted;
    if (wants_receipts(batch)) noted = take_receipts();
    Result<void> written;
    std::function<void()> work = [&] { written = write_batch(batch, read, noted); };
    co_await disk_.run(std::move(work));
    // Not in the disk's thread: who waits may be woken, and look, while it writes.
    for (Job* one : batch) one->result = written;
    if (not_kept_) log_.warn("receipts are lost", {{"why", not_kept_->text}});
    if (std::exchange(is_overfull_, false)) log_.warn("receipts are lost", {{"why", "too many came at once"}});
    not_kept_.reset();
    is_writing_ = false;
    changed_.wake();
  }
  co_return *job.result;
}

Result<void> Journal::write_batch(const std::vector<Job*>& batch, const std::vector<std::string>& read,
                                  const std::vector<Receipt>& noted) {
  const bool synced = std::any_of(batch.begin(), batch.end(), [](const Job* job) {
    return job->verdict != nullptr && is_had_by_somebody(*job->verdict);
  });
  auto written = write_page(batch, read, noted, synced);
  if (!written && !noted.empty()) not_kept_ = written.error();
  // Mail is not held up by it; the next run begins a new one.
  if (not_kept_ && not_kept_->code == Errc::malformed) static_cast<void>(writer_.mark_as_damaged());
  if (written) log_begins_anew_ = writer_.wants_checkpoint();
  // Once in some hundred messages.
  if (log_begins_anew_ && written) static_cast<void>(db::Database::checkpoint(options_.path));
  return written;
}

void Journal::settle_down() {
  if (writer_.wants_checkpoint(true)) static_cast<void>(db::Database::empty_log(options_.path));
}

Result<void> Journal::write_page(const std::vector<Job*>& batch, const std::vector<std::string>& read,
                                 const std::vector<Receipt>& noted, bool synced) {
  auto page = writer_.begin(synced);
  if (!page) return fail(page.error());
  if (auto entries = write_entries(*page, batch, read); !entries) return entries;
  if (auto kept = keep(*page, noted); !kept) not_kept_ = kept.error();
  return page->commit();
}

Result<void> Journal::write_entries(Book::Page& page, const std::vector<Job*>& batch,
                                    const std::vector<std::string>& read) {
  const WallTime now = clock_.wall();
  // First, so that what is settled now is not meant.
  for (const auto& connection : read) {
    if (auto forgotten = page.forget_answered(connection); !forgotten) return forgotten;
  }
  for (Job* job : batch) {
    if (job->intent != nullptr) {
      auto ids = page.intend(*job->intent, now);
      if (!ids) return fail(ids.error());
      job->ids = std::move(*ids);
    }
    if (job->gone != nullptr) {
      for (const auto& origin : *job->gone) {
        if (auto forgotten = page.forget_collected(origin); !forgotten) return forgotten;
      }
    }
    if (job->verdict == nullptr) continue;
    if (auto settled = page.settle(*job->verdict, now); !settled) return settled;
  }
  return {};
}

Result<void> Journal::keep(Book::Page& page, const std::vector<Receipt>& noted) {
  if (noted.empty()) return {};
  if (auto kept = page.keep(noted); !kept) return kept;
  const bool is_session = std::any_of(noted.begin(), noted.end(), [](const Receipt& one) {
    const auto* session = std::get_if<SessionReceipt>(&one);
    return session != nullptr && !session->end;
  });
  if (!is_session) return {};
  const auto dropped = page.forget_receipts(oldest_receipt());
  if (!dropped) return fail(dropped.error());
  return {};
}

}  // namespace odmr::journal
