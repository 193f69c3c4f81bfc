#include "provider/call_book.hpp"

#include <chrono>
#include <utility>

namespace odmr::provider {

namespace {

constexpr std::int64_t k_seconds_of_day = 86'400;
constexpr std::int64_t k_week = 7 * k_seconds_of_day;

constexpr db::Schema k_schema{1, R"(
  CREATE TABLE call(
    number INTEGER PRIMARY KEY,
    customer TEXT NOT NULL,
    address TEXT NOT NULL,
    began INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    reply TEXT NOT NULL,
    how TEXT NOT NULL,
    is_good INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    recipients INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    put_off INTEGER NOT NULL,
    refused INTEGER NOT NULL) STRICT;
  CREATE INDEX call_customer ON call(customer, number);
  CREATE TABLE last_good(customer TEXT PRIMARY KEY, ended INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE under_way(
    number INTEGER PRIMARY KEY,
    customer TEXT NOT NULL,
    address TEXT NOT NULL,
    began INTEGER NOT NULL,
    is_waiting INTEGER NOT NULL) STRICT;
  CREATE TABLE day(
    day INTEGER NOT NULL,
    customer TEXT NOT NULL,
    calls INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY(day, customer)) STRICT, WITHOUT ROWID;
  CREATE TABLE total(
    customer TEXT NOT NULL,
    of TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY(customer, of)) STRICT, WITHOUT ROWID;
  CREATE TABLE refused_login(
    address TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX refused_login_last ON refused_login(last);
)"};

std::int64_t seconds_of(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

WallTime time_of(std::int64_t seconds) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(std::chrono::seconds(seconds)));
}

std::int64_t number(std::uint64_t count) {
  return static_cast<std::int64_t>(count);
}

std::uint64_t count_in(const db::Rows& rows, int column) {
  return static_cast<std::uint64_t>(rows.number(column));
}

Result<void> done(const Result<std::uint64_t>& run) {
  if (!run) return fail(run.error());
  return {};
}

// Calls `see` with each row.
template <class See>
Result<void> for_each(Result<db::Rows> rows, const See& see) {
  if (!rows) return fail(rows.error());
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) return {};
    see(*rows);
  }
}

Call call_in(const db::Rows& rows) {
  Call call;
  call.number = count_in(rows, 0);
  call.customer = rows.text(1);
  call.address = rows.text(2);
  call.began = time_of(rows.number(3));
  call.ended = time_of(rows.number(4));
  call.reply = rows.text(5);
  call.end = rows.text(6);
  call.is_good = rows.number(7) != 0;
  call.messages = count_in(rows, 8);
  call.recipients = count_in(rows, 9);
  call.bytes = count_in(rows, 10);
  call.put_off = count_in(rows, 11);
  call.refused = count_in(rows, 12);
  return call;
}

Call under_way_in(const db::Rows& rows) {
  Call call;
  call.number = count_in(rows, 0);
  call.customer = rows.text(1);
  call.address = rows.text(2);
  call.began = time_of(rows.number(3));
  call.is_waiting = rows.number(4) != 0;
  return call;
}

}  // namespace

struct CallBook::Statements {
  db::Statement put, put_good, put_under_way, drop_under_way, drop_all_under_way, add_day, add_total, add_refused;
  db::Statement drop_calls, drop_days, drop_old_addresses, drop_addresses;
  db::Statement last_calls, last_good, newest, under_way, days, refused_logins, totals;

  Result<void> prepare(db::Database& database);
};

Result<void> CallBook::Statements::prepare(db::Database& database) {
  const std::string call =
      "SELECT number, customer, address, began, ended, reply, how, is_good, messages, recipients, bytes, put_off, "
      "refused FROM call ";
  return database.prepare_all({
      {&newest, call + "ORDER BY number DESC LIMIT ?"},
      {&last_calls, call + "WHERE number IN (SELECT max(number) FROM call GROUP BY customer)"},
      {&last_good, "SELECT customer, ended FROM last_good"},
      {&under_way, "SELECT number, customer, address, began, is_waiting FROM under_way ORDER BY number"},
      {&days,
       "SELECT ?1 - day, sum(calls), sum(messages), sum(bytes) FROM day WHERE day > ?1 - ?2 AND day <= ?1 GROUP BY day "
       "ORDER BY day DESC"},
      {&refused_logins,
       "SELECT address, count, first, last FROM refused_login WHERE last >= ? ORDER BY last DESC, address LIMIT ?"},
      {&totals, "SELECT customer, of, count FROM total"},
      {&put,
       "INSERT INTO call(customer, address, began, ended, reply, how, is_good, messages, recipients, bytes, put_off, "
       "refused) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
      {&put_good, "INSERT INTO last_good VALUES (?, ?) ON CONFLICT DO UPDATE SET ended = excluded.ended"},
      {&put_under_way,
       "INSERT INTO under_way VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET is_waiting = excluded.is_waiting"},
      {&drop_under_way, "DELETE FROM under_way WHERE number = ?"},
      {&drop_all_under_way, "DELETE FROM under_way"},
      {&add_day,
       "INSERT INTO day VALUES (?, ?, 1, ?, ?) ON CONFLICT DO UPDATE SET calls = calls + 1, "
       "messages = messages + excluded.messages, bytes = bytes + excluded.bytes"},
      {&add_total, "INSERT INTO total VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"},
      {&add_refused,
       "INSERT INTO refused_login VALUES (?1, 1, ?2, ?2) ON CONFLICT DO UPDATE SET count = count + 1, last = ?2"},
      {&drop_calls,
       "DELETE FROM call WHERE number <= (SELECT max(number) FROM call) - ? AND number NOT IN "
       "(SELECT max(number) FROM call GROUP BY customer)"},
      {&drop_days, "DELETE FROM day WHERE day < ?"},
      {&drop_old_addresses, "DELETE FROM refused_login WHERE last < ?"},
      {&drop_addresses,
       "DELETE FROM refused_login WHERE (SELECT count(*) FROM refused_login) > ?1 AND address IN "
       "(SELECT address FROM refused_login ORDER BY last DESC, address LIMIT -1 OFFSET ?1)"},
  });
}

CallBook::CallBook(db::Database database, std::unique_ptr<Statements> statements)
    : database_(std::move(database)), statements_(std::move(statements)) {}
CallBook::CallBook(CallBook&&) noexcept = default;
CallBook& CallBook::operator=(CallBook&&) noexcept = default;
CallBook::~CallBook() = default;

Result<CallBook> CallBook::over(db::Database database) {
  auto statements = std::make_unique<Statements>();
  if (auto prepared = statements->prepare(database); !prepared) return fail(prepared.error());
  return CallBook(std::move(database), std::move(statements));
}

Result<CallBook> CallBook::open(const std::string& spool) {
  // Nobody's mail hangs on it.
  auto database = db::Database::open_or_renew(path_in(spool), k_schema);
  if (!database) return fail(database.error());
  return over(std::move(*database));
}

Result<std::optional<CallBook>> CallBook::open_to_read(const std::string& spool) {
  auto database = db::Database::open_to_read(path_in(spool), k_schema);
  if (!database && database.error().code == Errc::not_found) return std::nullopt;
  if (!database) return fail(database.error());
  auto book = over(std::move(*database));
  if (!book) return fail(book.error());
  return std::move(*book);
}

bool CallBook::wants_checkpoint() const {
  return database_.wants_checkpoint();
}

// --- writing

Result<void> CallBook::begin() {
  return done(statements_->drop_all_under_way.run());
}

Result<void> CallBook::note(const std::vector<CallEvent>& events) {
  if (events.empty()) return {};
  auto transaction = db::Transaction::begin(database_);
  if (!transaction) return fail(transaction.error());
  for (const auto& event : events) {
    if (auto noted = note_one(event); !noted) return noted;
  }
  if (auto made = make_room(events.back().time); !made) return made;
  return transaction->commit();
}

Result<void> CallBook::note_one(const CallEvent& event) {
  const Call& call = event.call;
  switch (event.kind) {
    case CallEvent::Kind::call:
      return done(statements_->put_under_way.run({number(call.number), call.customer, call.address,
                                                  seconds_of(call.began), std::int64_t{call.is_waiting ? 1 : 0}}));
    case CallEvent::Kind::over:
      return note_over(call);
    case CallEvent::Kind::refused_login:
      break;
  }
  auto noted =
      done(statements_->add_total.run({std::string_view(), std::string_view("refused_logins"), std::int64_t{1}}));
  if (noted && !event.address.empty())
    noted = done(statements_->add_refused.run({event.address, seconds_of(event.time)}));
  return noted;
}

Result<void> CallBook::note_over(const Call& call) {
  auto noted = done(statements_->drop_under_way.run({number(call.number)}));
  if (noted) {
    noted = done(statements_->put.run({call.customer, call.address, seconds_of(call.began), seconds_of(call.ended),
                                       call.reply, call.end, std::int64_t{call.is_good ? 1 : 0}, number(call.messages),
                                       number(call.recipients), number(call.bytes), number(call.put_off),
                                       number(call.refused)}));
  }
  if (noted && call.is_good) noted = done(statements_->put_good.run({call.customer, seconds_of(call.ended)}));
  if (noted) {
    noted = done(statements_->add_day.run(
        {seconds_of(call.ended) / k_seconds_of_day, call.customer, number(call.messages), number(call.bytes)}));
  }
  return noted ? add_up(call) : noted;
}

Result<void> CallBook::add_up(const Call& call) {
  const std::pair<std::string_view, std::uint64_t> sums[] = {{"calls", 1},
                                                             {"good", call.is_good ? 1 : 0},
                                                             {"messages", call.messages},
                                                             {"recipients", call.recipients},
                                                             {"bytes", call.bytes},
                                                             {"put_off", call.put_off},
                                                             {"refused", call.refused}};
  for (const auto& [of, count] : sums) {
    if (auto added = done(statements_->add_total.run({call.customer, of, number(count)})); !added) return added;
  }
  return {};
}

Result<void> CallBook::make_room(WallTime now) {
  auto made = done(statements_->drop_calls.run({k_calls}));
  if (made) made = done(statements_->drop_days.run({seconds_of(now) / k_seconds_of_day - k_days}));
  if (made) made = done(statements_->drop_old_addresses.run({seconds_of(now) - k_week}));
  if (made) made = done(statements_->drop_addresses.run({k_addresses}));
  return made;
}

// --- reading

Result<std::map<std::string, Call>> CallBook::last_calls() {
  std::map<std::string, Call> found;
  auto read = for_each(statements_->last_calls.rows(), [&](const db::Rows& rows) {
    Call call = call_in(rows);
    found[call.customer] = call;
  });
  if (!read) return fail(read.error());
  return found;
}

Result<std::map<std::string, WallTime>> CallBook::last_good() {
  std::map<std::string, WallTime> found;
  auto read = for_each(statements_->last_good.rows(),
                       [&](const db::Rows& rows) { found[std::string(rows.text(0))] = time_of(rows.number(1)); });
  if (!read) return fail(read.error());
  return found;
}

Result<std::vector<Call>> CallBook::newest(std::uint64_t most) {
  std::vector<Call> found;
  auto read =
      for_each(statements_->newest.rows({number(most)}), [&](const db::Rows& rows) { found.push_back(call_in(rows)); });
  if (!read) return fail(read.error());
  return found;
}

Result<std::vector<Call>> CallBook::under_way() {
  std::vector<Call> found;
  auto read =
      for_each(statements_->under_way.rows(), [&](const db::Rows& rows) { found.push_back(under_way_in(rows)); });
  if (!read) return fail(read.error());
  return found;
}

Result<std::vector<CallDay>> CallBook::days(WallTime now, std::uint64_t days) {
  std::vector<CallDay> found;
  auto read =
      for_each(statements_->days.rows({seconds_of(now) / k_seconds_of_day, number(days)}), [&](const db::Rows& rows) {
        found.push_back({count_in(rows, 0), count_in(rows, 1), count_in(rows, 2), count_in(rows, 3)});
      });
  if (!read) return fail(read.error());
  return found;
}

Result<std::vector<RefusedLogins>> CallBook::refused_logins(WallTime since, std::uint64_t most) {
  std::vector<RefusedLogins> found;
  auto read = for_each(statements_->refused_logins.rows({seconds_of(since), number(most)}), [&](const db::Rows& rows) {
    found.push_back({std::string(rows.text(0)), count_in(rows, 1), time_of(rows.number(2)), time_of(rows.number(3))});
  });
  if (!read) return fail(read.error());
  return found;
}

Result<std::vector<CallTotal>> CallBook::totals() {
  std::vector<CallTotal> found;
  auto read = for_each(statements_->totals.rows(), [&](const db::Rows& rows) {
    found.push_back({std::string(rows.text(0)), std::string(rows.text(1)), count_in(rows, 2)});
  });
  if (!read) return fail(read.error());
  return found;
}

}  // namespace odmr::provider
