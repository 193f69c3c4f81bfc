#include "queue/index.hpp"

#include <algorithm>
#include <utility>

#include "queue/schedule.hpp"

namespace odmr::queue {

namespace {

// No index of SQLite's own beside the tables: to read all of a hundred thousand rows takes a blink, and a second
// structure could lose a message that the first one has. Times are microseconds since 1970.
constexpr db::Schema k_schema{1, R"(
  CREATE TABLE message(
    id TEXT PRIMARY KEY,
    arrival INTEGER NOT NULL,
    size INTEGER NOT NULL,
    reverse_path TEXT NOT NULL,
    notes INTEGER NOT NULL,               -- bytes of notes that this row knows of
    stopped INTEGER NOT NULL,
    waiting INTEGER NOT NULL,             -- recipients
    failed INTEGER NOT NULL,              -- those about whom a bounce is due
    delayed INTEGER NOT NULL,             -- those about whom a notice of delay may be sent
    recipients INTEGER NOT NULL,          -- all of them: rows in the other table
    next_try INTEGER NOT NULL,
    next_notice INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    reply TEXT NOT NULL DEFAULT ''
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE recipient(
    message TEXT NOT NULL,
    place INTEGER NOT NULL,
    address TEXT NOT NULL,
    standing INTEGER NOT NULL,
    reply TEXT NOT NULL,
    PRIMARY KEY(message, place)
  ) STRICT, WITHOUT ROWID;
)"};

std::int64_t to_number(WallTime time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

// The index may be damaged, and WallTime ends in the year 2262.
WallTime to_time(std::int64_t microseconds) {
  constexpr std::int64_t latest = 9'000'000'000'000'000;
  return WallTime(std::chrono::microseconds(std::clamp<std::int64_t>(microseconds, 0, latest)));
}

std::int64_t to_number(std::uint64_t number) {
  return static_cast<std::int64_t>(number);
}

template <class Enum>
Enum to_enum(std::int64_t number, Enum last) {
  return static_cast<Enum>(std::clamp<std::int64_t>(number, 0, static_cast<std::int64_t>(last)));
}

// Of a row of Statements::page and find.
Entry entry_from(const db::Rows& row) {
  Entry entry;
  entry.id = row.text(0);
  entry.arrival = to_time(row.number(1));
  entry.size = static_cast<std::uint64_t>(row.number(2));
  entry.reverse_path = row.text(3);
  entry.stopped = to_enum(row.number(4), Stopped::undeliverable);
  entry.next_try = to_time(row.number(5));
  entry.tries = static_cast<std::uint64_t>(row.number(6));
  entry.reply = row.text(7);
  entry.is_untold = row.number(9) != 0;
  return entry;
}

tl::unexpected<Error> damaged() {
  return fail(Errc::malformed, "its rows do not fit together");
}

Result<void> done(const Result<std::uint64_t>& run) {
  if (!run) return fail(run.error());
  return {};
}

}  // namespace

struct Index::Statements {
  db::Statement each, put, put_recipient, tried, put_off, forget, forget_recipients, set_next_try, set_next_notice;
  db::Statement set_reply, not_tried, undeliverable;
  db::Statement due, notices_due, older_than, page, recipients, find, sums;

  Result<void> prepare(db::Database& database);
};

Result<void> Index::Statements::prepare(db::Database& database) {
  // Where only the sender waits, for the bounce, the next try is that one's.
  const std::string entries = R"(SELECT id, arrival, size, reverse_path, stopped,
      iif(waiting = 0 AND failed > 0, max(next_notice, arrival), next_try), tries, reply, recipients,
      waiting = 0 AND failed > 0 FROM message )";
  return database.prepare_all({
      {&each, "SELECT id, notes, stopped = 0 AND waiting = 0 AND failed = 0, arrival FROM message ORDER BY id"},
      // A row that knows more notes has been written by somebody who read later.
      {&put, R"(INSERT INTO message(id, arrival, size, reverse_path, notes, stopped, waiting, failed, delayed, next_try,
                recipients, reply) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
                ON CONFLICT(id) DO UPDATE SET arrival = ?2, notes = ?5, stopped = ?6, waiting = ?7, failed = ?8,
                delayed = ?9, reply = iif(?12 = '', reply, ?12) WHERE message.notes <= ?5)"},
      // A recipient who waits has his reply from the schedule alone.
      {&put_recipient, R"(INSERT INTO recipient(message, place, address, standing, reply) VALUES (?1, ?2, ?3, ?4, ?5)
                ON CONFLICT(message, place) DO UPDATE SET standing = ?4, reply = iif(?5 = '', reply, ?5))"},
      {&tried, R"(UPDATE message SET tries = tries + 1, next_try = coalesce(?2, next_try),
                reply = iif(?3 = '', reply, ?3) WHERE id = ?1)"},
      {&put_off, "UPDATE recipient SET reply = ?3 WHERE message = ?1 AND place = ?2 AND standing = 0"},
      {&forget, "DELETE FROM message WHERE id = ?"},
      {&forget_recipients, "DELETE FROM recipient WHERE message = ?"},
      {&set_next_try, "UPDATE message SET next_try = ?2 WHERE id = ?1"},
      {&set_next_notice, "UPDATE message SET next_notice = ?2 WHERE id = ?1"},
      {&set_reply, "UPDATE message SET reply = ?2 WHERE id = ?1"},
      {&not_tried, R"(UPDATE message SET reply = ?1 WHERE stopped = 0 AND waiting > 0
                AND (next_try <= ?2 OR next_try > ?3) AND reply <> ?1)"},
      {&undeliverable, entries + "WHERE stopped = 2 ORDER BY id LIMIT ?"},
      {&due, R"(SELECT id FROM message WHERE stopped = 0 AND waiting > 0
                AND (?1 OR next_try <= ?2 OR next_try > ?3) ORDER BY next_try, id)"},
      {&notices_due, R"(SELECT id FROM message WHERE stopped = 0 AND (failed > 0 OR delayed > 0 AND arrival <= ?3)
                AND (?4 OR next_notice <= ?1 OR next_notice > ?2) ORDER BY id)"},
      {&older_than, "SELECT id FROM message WHERE stopped = 0 AND waiting > 0 AND arrival < ? ORDER BY id"},
      {&page, entries + "WHERE id > ? ORDER BY id LIMIT ?"},
      {&recipients, R"(SELECT message, address, standing, reply FROM recipient WHERE message BETWEEN ? AND ?
                ORDER BY message, place)"},
      {&find, entries + "WHERE id = ?"},
      {&sums, R"(SELECT count(*), sum(size), sum(stopped = 1), sum(stopped = 2), min(arrival),
                min(iif(stopped = 0 AND waiting > 0, next_try, NULL)) FROM message)"},
  });
}

Index::Index(db::Database database, std::unique_ptr<Statements> statements)
    : database_(std::move(database)), statements_(std::move(statements)) {}

Index::Index(Index&&) noexcept = default;
Index& Index::operator=(Index&&) noexcept = default;
Index::~Index() = default;

Result<Index> Index::open(const std::string& path) {
  return over(db::Database::open(path, k_schema));
}

Result<Index> Index::in_memory() {
  return over(db::Database::in_memory(k_schema));
}

Result<Index> Index::copy_in_memory() {
  return over(database_.copy_in_memory());
}

Result<Index> Index::over(Result<db::Database> database) {
  if (!database) return fail(database.error());
  auto statements = std::make_unique<Statements>();
  if (auto prepared = statements->prepare(*database); !prepared) return fail(prepared.error());
  return Index(std::move(*database), std::move(statements));
}

Result<void> Index::each(const See& see) {
  auto rows = statements_->each.rows();
  if (!rows) return fail(rows.error());
  std::string last;
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) return {};
    // Damage that SQLite does not see: zeros in a row, a page from another time.
    const bool is_idle = rows->number(2) != 0;
    if (is_idle || rows->text(0) <= last || !spool::Store::is_id(rows->text(0))) return damaged();
    last = rows->text(0);
    see(last, static_cast<std::uint64_t>(rows->number(1)), to_time(rows->number(3)));
  }
}

// --- writing

Result<void> Index::write(const std::vector<Update>& updates, WallTime now) {
  if (updates.empty()) return {};
  auto transaction = db::Transaction::begin(database_);
  if (!transaction) return fail(transaction.error());
  for (const auto& update : updates) {
    if (auto written = write_one(update, now); !written) return written;
  }
  return transaction->commit();
}

Result<void> Index::write_one(const Update& update, WallTime now) {
  const Record& record = update.record;
  const WallTime arrival = record.first_seen ? record.waits_since(now) : record.arrival;
  const auto changed = statements_->put.run(
      {record.id, to_number(arrival), to_number(record.size), record.reverse_path, to_number(record.notes),
       static_cast<std::int64_t>(record.stopped()), to_number(record.waiting().size()),
       to_number(record.to_be_told().size()), to_number(record.to_hear_of_delay().size()),
       to_number(std::min(arrival, now)), to_number(record.recipients.size()), one_line(record.why_untold())});
  if (!changed) return fail(changed.error());
  std::size_t place = 0;
  for (const auto& one : record.recipients) {
    if (*changed == 0) break;
    const auto put = statements_->put_recipient.run(
        {record.id, to_number(place++), one.address, static_cast<std::int64_t>(one.standing), one.reply});
    if (!put) return fail(put.error());
  }
  return update.tried ? write_tried(record.id, *update.tried) : Result<void>();
}

Result<void> Index::write_tried(const std::string& id, const Tried& tried) {
  const db::Value next_try = tried.next_try ? db::Value(to_number(*tried.next_try)) : db::Value(nullptr);
  if (auto written = done(statements_->tried.run({id, next_try, one_line(tried.reply)})); !written) return written;
  for (const auto& one : tried.put_off) {
    const std::string reply = one_line(one.reply.joined());
    if (auto written = done(statements_->put_off.run({id, to_number(one.recipient), reply})); !written) return written;
  }
  return {};
}

Result<void> Index::forget(const std::vector<std::string>& ids) {
  if (ids.empty()) return {};
  auto transaction = db::Transaction::begin(database_);
  if (!transaction) return fail(transaction.error());
  for (const auto& id : ids) {
    for (auto* statement : {&statements_->forget, &statements_->forget_recipients}) {
      if (auto forgotten = done(statement->run({id})); !forgotten) return forgotten;
    }
  }
  return transaction->commit();
}

Result<void> Index::set_next_try(const std::string& id, WallTime when) {
  return done(statements_->set_next_try.run({id, to_number(when)}));
}

Result<void> Index::set_next_notice(const std::string& id, WallTime when) {
  return done(statements_->set_next_notice.run({id, to_number(when)}));
}

Result<void> Index::set_reply(const std::string& id, const std::string& reply) {
  return done(statements_->set_reply.run({id, one_line(reply)}));
}

Result<void> Index::not_tried(const std::string& why, WallTime now) {
  return done(statements_->not_tried.run({one_line(why), to_number(now), to_number(latest_next_try(now))}));
}

// --- asking

Result<std::vector<std::string>> Index::ids(Result<db::Rows> rows) {
  if (!rows) return fail(rows.error());
  std::vector<std::string> found;
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) return found;
    found.emplace_back(rows->text(0));
  }
}

Result<std::vector<std::string>> Index::due(bool all, WallTime now) {
  return ids(statements_->due.rows({std::int64_t{all ? 1 : 0}, to_number(now), to_number(latest_next_try(now))}));
}

Result<std::vector<std::string>> Index::notices_due(bool all, WallTime now, std::optional<WallTime> delayed_since) {
  const std::int64_t since = delayed_since ? to_number(*delayed_since) : -1;
  return ids(statements_->notices_due.rows(
      {to_number(now), to_number(latest_next_try(now)), since, std::int64_t{all ? 1 : 0}}));
}

Result<std::vector<std::string>> Index::older_than(WallTime arrival) {
  return ids(statements_->older_than.rows({to_number(arrival)}));
}

Result<std::vector<Entry>> Index::page(const std::string& after, std::uint64_t most) {
  const auto moment = db::Transaction::begin_reading(database_);
  if (!moment) return fail(moment.error());
  return entries(statements_->page.rows({after, to_number(most)}));
}

Result<std::optional<Entry>> Index::find(const std::string& id) {
  const auto moment = db::Transaction::begin_reading(database_);
  if (!moment) return fail(moment.error());
  auto found = entries(statements_->find.rows({id}));
  if (!found) return fail(found.error());
  if (found->empty()) return std::nullopt;
  return std::move(found->front());
}

Result<std::vector<Entry>> Index::undeliverable(std::uint64_t most) {
  auto rows = statements_->undeliverable.rows({to_number(most)});
  if (!rows) return fail(rows.error());
  std::vector<Entry> found;
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) return found;
    found.push_back(entry_from(*rows));
  }
}

Result<std::vector<Entry>> Index::entries(Result<db::Rows> rows) {
  if (!rows) return fail(rows.error());
  std::vector<Entry> found;
  std::vector<std::int64_t> numbers;  // of recipients
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) break;
    found.push_back(entry_from(*rows));
    numbers.push_back(rows->number(8));
  }
  if (found.empty()) return found;
  if (auto added = add_recipients(found); !added) return fail(added.error());
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (to_number(found[i].recipients.size()) != numbers[i]) return damaged();
  }
  return found;
}

// The entries, one at least, stand in the order of their ids, and so do the rows.
Result<void> Index::add_recipients(std::vector<Entry>& found) {
  auto rows = statements_->recipients.rows({found.front().id, found.back().id});
  if (!rows) return fail(rows.error());
  auto entry = found.begin();
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) return {};
    while (entry != found.end() && entry->id < rows->text(0)) ++entry;
    if (entry == found.end() || entry->id != rows->text(0)) return damaged();
    entry->recipients.push_back(
        {std::string(rows->text(1)), {}, to_enum(rows->number(2), Standing::told), std::string(rows->text(3))});
  }
}

Result<Queue::Sums> Index::sums() {
  auto rows = statements_->sums.rows();
  if (!rows) return fail(rows.error());
  if (const auto is_there = rows->next(); !is_there) return fail(is_there.error());
  Queue::Sums sums;
  sums.messages = static_cast<std::uint64_t>(rows->number(0));
  sums.bytes = static_cast<std::uint64_t>(rows->number(1));
  sums.held = static_cast<std::uint64_t>(rows->number(2));
  sums.undeliverable = static_cast<std::uint64_t>(rows->number(3));
  if (!rows->is_null(4)) sums.oldest = to_time(rows->number(4));
  if (!rows->is_null(5)) sums.next_try = to_time(rows->number(5));
  return sums;
}

}  // namespace odmr::queue
