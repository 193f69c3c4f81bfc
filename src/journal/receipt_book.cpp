#include "journal/receipt_book.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "journal/stored_time.hpp"

namespace odmr::journal {

namespace {

// What is dropped at a time.
constexpr std::int64_t k_messages_in_piece = 1000;
constexpr int k_sessions_in_piece = 100;
constexpr std::int64_t k_day = 86'400'000'000;  // in the microseconds of to_number()

constexpr const char* k_tables = R"(
  CREATE TABLE session(
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    provider TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER,
    outcome TEXT,
    is_good INTEGER,
    text TEXT,
    connections INTEGER,
    messages INTEGER,
    recipients INTEGER,
    bytes INTEGER,
    rejected INTEGER,
    deferred INTEGER,
    duplicates INTEGER) STRICT;
  CREATE INDEX session_provider ON session(provider, number);
  CREATE INDEX session_started ON session(started);
  CREATE TABLE connection(
    number INTEGER PRIMARY KEY,
    session TEXT NOT NULL,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    started INTEGER NOT NULL,
    ended INTEGER,
    address TEXT NOT NULL,
    tls TEXT NOT NULL,
    verified TEXT NOT NULL,
    mechanism TEXT NOT NULL,
    greeting TEXT NOT NULL,
    reply TEXT NOT NULL,
    how TEXT NOT NULL,
    UNIQUE(session, place)) STRICT;
  CREATE TABLE message(
    number INTEGER PRIMARY KEY,
    connection TEXT NOT NULL,
    id TEXT NOT NULL,
    reverse_path TEXT NOT NULL,
    unlisted INTEGER NOT NULL,
    size INTEGER NOT NULL,
    digest BLOB NOT NULL,
    reply TEXT NOT NULL,
    fate INTEGER NOT NULL,
    time INTEGER NOT NULL) STRICT;
  CREATE INDEX message_connection ON message(connection);
  CREATE TABLE recipient(
    number INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    address TEXT NOT NULL,
    said_by INTEGER NOT NULL,
    reply TEXT NOT NULL) STRICT;
  CREATE INDEX recipient_message ON recipient(message);
)";

// What a provider refused; why sessions failed, how long certificates are good; what went out; what it all came to.
constexpr const char* k_version_3 = R"(
  ALTER TABLE session ADD COLUMN fingerprint TEXT NOT NULL DEFAULT '';
  ALTER TABLE session ADD COLUMN cause TEXT NOT NULL DEFAULT '';
  ALTER TABLE connection ADD COLUMN certificate_until INTEGER;
  CREATE INDEX session_ended ON session(provider, ended);
  CREATE TABLE flush(
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    started INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    cause TEXT NOT NULL,
    text TEXT NOT NULL,
    messages INTEGER NOT NULL,
    recipients INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    deferred INTEGER NOT NULL,
    bounced INTEGER NOT NULL,
    server TEXT NOT NULL,
    certificate_until INTEGER) STRICT;
  CREATE INDEX flush_ended ON flush(ended);
  CREATE TABLE total(
    provider TEXT NOT NULL,
    of TEXT NOT NULL,
    outcome TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY(provider, of, outcome)) STRICT, WITHOUT ROWID;
  INSERT INTO total SELECT provider, 'sessions', outcome, count(*) FROM session WHERE ended IS NOT NULL
    GROUP BY provider, outcome;
  INSERT INTO total SELECT provider, 'messages', '', sum(messages) FROM session WHERE ended IS NOT NULL GROUP BY provider;
  INSERT INTO total SELECT provider, 'recipients', '', sum(recipients) FROM session WHERE ended IS NOT NULL
    GROUP BY provider;
  INSERT INTO total SELECT provider, 'bytes', '', sum(bytes) FROM session WHERE ended IS NOT NULL GROUP BY provider;
  INSERT INTO total SELECT provider, 'rejected', '', sum(rejected) FROM session WHERE ended IS NOT NULL GROUP BY provider;
  INSERT INTO total SELECT provider, 'deferred', '', sum(deferred) FROM session WHERE ended IS NOT NULL GROUP BY provider;
  INSERT INTO total SELECT provider, 'duplicates', '', sum(duplicates) FROM session WHERE ended IS NOT NULL
    GROUP BY provider;
)";

Result<void> done(const Result<std::uint64_t>& run) {
  if (!run) return fail(run.error());
  return {};
}

// What the first row has in its first column.
Result<std::optional<std::int64_t>> number_in(Result<db::Rows> rows) {
  if (!rows) return fail(rows.error());
  const auto is_there = rows->next();
  if (!is_there) return fail(is_there.error());
  if (!*is_there) return std::nullopt;
  return rows->number(0);
}

Result<std::optional<std::string>> text_in(Result<db::Rows> rows) {
  if (!rows) return fail(rows.error());
  const auto is_there = rows->next();
  if (!is_there) return fail(is_there.error());
  if (!*is_there) return std::nullopt;
  return std::string(rows->text(0));
}

template <class Value, class Read>
Result<std::vector<Value>> all_of(Result<db::Rows> rows, const Read& read) {
  if (!rows) return fail(rows.error());
  std::vector<Value> found;
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) return found;
    found.push_back(read(*rows));
  }
}

std::uint64_t count_in(const db::Rows& rows, int column) {
  return static_cast<std::uint64_t>(rows.number(column));
}

std::int64_t number(std::uint64_t count) {
  return static_cast<std::int64_t>(count);
}

constexpr const char* k_session_columns =
    "SELECT id, provider, started, ended, outcome, text, connections, messages, recipients, bytes, rejected, "
    "deferred, duplicates, fingerprint, cause FROM session ";

SessionReceipt session_in(const db::Rows& rows) {
  SessionReceipt session;
  session.id = rows.text(0);
  session.provider = rows.text(1);
  session.started = to_time(rows.number(2));
  if (rows.is_null(3)) return session;
  SessionEnding& end = session.end.emplace();
  end.time = to_time(rows.number(3));
  end.outcome = outcome_named(rows.text(4)).value_or(Outcome::bug);
  end.text = rows.text(5);
  end.connections = count_in(rows, 6);
  end.messages = count_in(rows, 7);
  end.recipients = count_in(rows, 8);
  end.bytes = count_in(rows, 9);
  end.rejected = count_in(rows, 10);
  end.deferred = count_in(rows, 11);
  end.duplicates = count_in(rows, 12);
  end.fingerprint = rows.text(13);
  end.cause = cause_named(rows.text(14)).value_or(Cause::unknown);
  return session;
}

ConnectionReceipt connection_in(const db::Rows& rows) {
  ConnectionReceipt connection;
  connection.session = rows.text(0);
  connection.number = count_in(rows, 1);
  connection.name = rows.text(2);
  connection.started = to_time(rows.number(3));
  if (!rows.is_null(4)) connection.ended = to_time(rows.number(4));
  connection.address = rows.text(5);
  connection.tls = rows.text(6);
  connection.verified = rows.text(7);
  connection.mechanism = rows.text(8);
  connection.greeting = rows.text(9);
  connection.reply = rows.text(10);
  connection.how = rows.text(11);
  if (!rows.is_null(12)) connection.certificate_until = to_time(rows.number(12));
  return connection;
}

constexpr const char* k_connection_columns =
    "SELECT session, place, name, connection.started, connection.ended, address, tls, verified, mechanism, greeting, "
    "reply, how, certificate_until FROM connection ";

FlushReceipt flush_in(const db::Rows& rows) {
  FlushReceipt flush;
  flush.id = rows.text(0);
  flush.started = to_time(rows.number(1));
  flush.ended = to_time(rows.number(2));
  flush.outcome = outcome_named(rows.text(3)).value_or(Outcome::bug);
  flush.cause = cause_named(rows.text(4)).value_or(Cause::unknown);
  flush.text = rows.text(5);
  flush.messages = count_in(rows, 6);
  flush.recipients = count_in(rows, 7);
  flush.bytes = count_in(rows, 8);
  flush.deferred = count_in(rows, 9);
  flush.bounced = count_in(rows, 10);
  flush.server = rows.text(11);
  if (!rows.is_null(12)) flush.certificate_until = to_time(rows.number(12));
  return flush;
}

Day day_in(const db::Rows& rows) {
  return {count_in(rows, 0), count_in(rows, 1), count_in(rows, 2)};
}

Total total_in(const db::Rows& rows) {
  return {std::string(rows.text(0)), std::string(rows.text(1)), std::string(rows.text(2)), count_in(rows, 3)};
}

template <class Value>
Result<std::optional<Value>> first_of(Result<std::vector<Value>> found) {
  if (!found) return fail(found.error());
  if (found->empty()) return std::nullopt;
  return std::move(found->front());
}

db::Value time_or_null(const std::optional<WallTime>& time) {
  return time ? db::Value(to_number(*time)) : db::Value(nullptr);
}

ReceiptBook::Line line_in(const db::Rows& rows) {
  ReceiptBook::Line line;
  line.place = rows.number(0);
  MessageReceipt& message = line.message;
  message.connection = rows.text(1);
  message.id = rows.text(2);
  message.reverse_path = rows.text(3);
  message.unlisted = count_in(rows, 4);
  message.size = count_in(rows, 5);
  message.digest = rows.text(6);
  message.reply = rows.text(7);
  message.fate = static_cast<MessageReceipt::Fate>(rows.number(8));
  message.time = to_time(rows.number(9));
  return line;
}

RecipientReceipt recipient_in(const db::Rows& rows) {
  return {std::string(rows.text(0)), static_cast<RecipientReceipt::By>(rows.number(1)), std::string(rows.text(2))};
}

}  // namespace

struct ReceiptBook::Statements {
  db::Statement mark, release, undo;
  db::Statement begin_session, end_session, put_connection, put_message, put_recipient, put_flush, add_up;
  db::Statement session_before, connection_before, message_before, started_before;
  db::Statement forget_recipients, forget_messages, forget_connections, forget_session;
  db::Statement forget_recipients_to, forget_messages_to;
  db::Statement forget_recipients_on, forget_messages_on, forget_connection, forget_flushes, forget_flushes_before;
  db::Statement last_sessions, last_good, answers, count_sessions, sessions_named, connections, messages, recipients;
  db::Statement last_certificate, last_flush, last_flush_with_certificate, received, sent, totals;

  Result<void> prepare(db::Database& database);
  Result<void> prepare_reading(db::Database& database);
  Result<void> prepare_forgetting(db::Database& database);
};

Result<void> ReceiptBook::Statements::prepare(db::Database& database) {
  auto prepared = database.prepare_all({
      {&mark, "SAVEPOINT receipts"},
      {&release, "RELEASE receipts"},
      {&undo, "ROLLBACK TO receipts"},
      {&begin_session,
       "INSERT INTO session(id, provider, started) VALUES (?, ?, ?) ON CONFLICT(id) DO NOTHING RETURNING number"},
      {&end_session,
       "UPDATE session SET ended = ?2, outcome = ?3, is_good = ?4, text = ?5, connections = ?6, messages = ?7, "
       "recipients = ?8, bytes = ?9, rejected = ?10, deferred = ?11, duplicates = ?12, fingerprint = ?13, cause = ?14 "
       "WHERE id = ?1 AND ended IS NULL"},
      {&put_connection, R"(INSERT INTO connection(session, place, name, started, ended, address, tls, verified,
                                                      mechanism, greeting, reply, how, certificate_until)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT(session, place) DO UPDATE SET name = excluded.name, ended = excluded.ended,
               address = excluded.address, tls = excluded.tls, verified = excluded.verified,
               mechanism = excluded.mechanism, greeting = excluded.greeting, reply = excluded.reply,
               how = excluded.how, certificate_until = excluded.certificate_until
             RETURNING number)"},
      {&put_message, R"(INSERT INTO message(connection, id, reverse_path, unlisted, size, digest, reply, fate, time)
             VALUES (?, ?, ?, ?, ?, CAST(? AS BLOB), ?, ?, ?) RETURNING number)"},
      {&put_recipient, "INSERT INTO recipient(message, address, said_by, reply) VALUES (?, ?, ?, ?) RETURNING number"},
      {&put_flush, R"(INSERT INTO flush(id, started, ended, outcome, cause, text, messages, recipients, bytes, deferred,
                                        bounced, server, certificate_until)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING RETURNING number)"},
      {&add_up,
       "INSERT INTO total(provider, of, outcome, count) VALUES (?1, ?2, ?3, ?4) "
       "ON CONFLICT DO UPDATE SET count = count + excluded.count"},
  });
  if (prepared) prepared = prepare_forgetting(database);
  if (prepared) prepared = prepare_reading(database);
  return prepared;
}

Result<void> ReceiptBook::Statements::prepare_forgetting(db::Database& database) {
  const std::string piece =
      "SELECT number FROM message WHERE connection IN (SELECT name FROM connection WHERE session = ?1) "
      "ORDER BY number LIMIT ?2";
  return database.prepare_all({
      {&session_before, "SELECT id FROM session WHERE number <= ? ORDER BY number LIMIT 1"},
      {&connection_before, "SELECT name FROM connection WHERE number <= ? ORDER BY number LIMIT 1"},
      {&message_before, "SELECT message FROM recipient WHERE number <= ? ORDER BY number DESC LIMIT 1"},
      {&started_before, "SELECT id FROM session WHERE started < ? ORDER BY started LIMIT 1"},
      {&forget_recipients, "DELETE FROM recipient WHERE message IN (" + piece + ")"},
      {&forget_messages, "DELETE FROM message WHERE number IN (" + piece + ")"},
      {&forget_connections, "DELETE FROM connection WHERE session = ?"},
      {&forget_session, "DELETE FROM session WHERE id = ?"},
      {&forget_recipients_to, "DELETE FROM recipient WHERE message <= ?"},
      {&forget_messages_to, "DELETE FROM message WHERE number <= ?"},
      {&forget_recipients_on,
       "DELETE FROM recipient WHERE message IN (SELECT number FROM message WHERE connection = ?)"},
      {&forget_messages_on, "DELETE FROM message WHERE connection = ?"},
      {&forget_connection, "DELETE FROM connection WHERE number <= ?"},
      {&forget_flushes, "DELETE FROM flush WHERE number <= ?"},
      {&forget_flushes_before, "DELETE FROM flush WHERE ended < ?"},
  });
}

Result<void> ReceiptBook::Statements::prepare_reading(db::Database& database) {
  const std::string session = k_session_columns;
  const std::string flush =
      "SELECT id, started, ended, outcome, cause, text, messages, recipients, bytes, deferred, bounced, server, "
      "certificate_until FROM flush ";
  const std::string days = "SELECT (?1 - ended) / 86400000000 AS ago, sum(messages), sum(bytes) ";
  const std::string by_day = " GROUP BY ago ORDER BY ago";
  return database.prepare_all({
      {&last_sessions, session + "WHERE number IN (SELECT max(number) FROM session GROUP BY provider) "
                                 "ORDER BY provider"},
      {&last_good, session + "WHERE provider = ? AND is_good = 1 ORDER BY number DESC LIMIT 1"},
      {&answers, session + "WHERE provider = ? AND outcome IN ('no-mail', 'fetched', 'deferred', 'auth', 'refused') "
                           "ORDER BY number DESC LIMIT ?"},
      {&count_sessions, "SELECT count(*) FROM session WHERE provider = ?"},
      {&sessions_named, session + "WHERE id BETWEEN ?1 AND ?1 || '~' ORDER BY id LIMIT ?2"},
      {&connections, std::string(k_connection_columns) + "WHERE session = ? AND place > ? ORDER BY place LIMIT ?"},
      {&last_certificate,
       std::string(k_connection_columns) +
           "JOIN session ON session.id = connection.session "
           "WHERE provider = ? AND certificate_until IS NOT NULL ORDER BY connection.number DESC LIMIT 1"},
      {&last_flush, flush + "ORDER BY number DESC LIMIT 1"},
      {&last_flush_with_certificate, flush + "WHERE certificate_until IS NOT NULL ORDER BY number DESC LIMIT 1"},
      {&received,
       days + "FROM session WHERE provider = ?3 AND ended > ?1 - ?2 AND ended <= ?1 AND messages > 0" + by_day},
      {&sent, days + "FROM flush WHERE ended > ?1 - ?2 AND ended <= ?1 AND messages > 0" + by_day},
      {&totals, "SELECT provider, of, outcome, count FROM total ORDER BY provider, of, outcome"},
      {&messages,
       "SELECT number, connection, id, reverse_path, unlisted, size, digest, reply, fate, time "
       "FROM message WHERE connection = ? AND number > ? ORDER BY number LIMIT ?"},
      {&recipients, "SELECT address, said_by, reply FROM recipient WHERE message = ? ORDER BY number"},
  });
}

const char* ReceiptBook::tables() {
  static const std::string sql = std::string(k_tables) + k_version_3;
  return sql.c_str();
}

const char* ReceiptBook::tables_of_version_2() {
  return k_tables;
}

const char* ReceiptBook::added_in_version_3() {
  return k_version_3;
}

ReceiptBook::ReceiptBook(std::unique_ptr<Statements> statements, const ReceiptLimits& limits)
    : statements_(std::move(statements)), limits_(limits) {}
ReceiptBook::ReceiptBook(ReceiptBook&&) noexcept = default;
ReceiptBook& ReceiptBook::operator=(ReceiptBook&&) noexcept = default;
ReceiptBook::~ReceiptBook() = default;

Result<ReceiptBook> ReceiptBook::over(db::Database& database, const ReceiptLimits& limits) {
  auto statements = std::make_unique<Statements>();
  if (auto prepared = statements->prepare(database); !prepared) return fail(prepared.error());
  return ReceiptBook(std::move(statements), limits);
}

// --- writing

Result<void> ReceiptBook::keep(const std::vector<Receipt>& receipts) {
  if (auto marked = done(statements_->mark.run()); !marked) return marked;
  auto kept = keep_all(receipts);
  // Where the disk was full SQLite has undone all already, and the commit will tell.
  if (!kept) static_cast<void>(statements_->undo.run());
  const auto released = done(statements_->release.run());
  return kept ? released : kept;
}

Result<void> ReceiptBook::keep_all(const std::vector<Receipt>& receipts) {
  for (const auto& receipt : receipts) {
    auto kept = std::visit([this](const auto& one) { return keep_one(one); }, receipt);
    if (!kept) return kept;
  }
  return {};
}

Result<void> ReceiptBook::keep_one(const SessionReceipt& session) {
  const auto begun =
      number_in(statements_->begin_session.rows({session.id, session.provider, to_number(session.started)}));
  if (!begun) return fail(begun.error());
  if (session.end) {
    const SessionEnding& end = *session.end;
    const std::int64_t is_good = exit_status(end.outcome) == 0 ? 1 : 0;
    const auto ended = statements_->end_session.run(
        {session.id, to_number(end.time), name(end.outcome), is_good, end.text, number(end.connections),
         number(end.messages), number(end.recipients), number(end.bytes), number(end.rejected), number(end.deferred),
         number(end.duplicates), end.fingerprint, name(end.cause)});
    if (!ended) return fail(ended.error());
    if (*ended > 0) {
      const Sums sums{{"messages", end.messages}, {"recipients", end.recipients}, {"bytes", end.bytes},
                      {"rejected", end.rejected}, {"deferred", end.deferred},     {"duplicates", end.duplicates}};
      if (auto added = add_up(session.provider, end.outcome, sums); !added) return added;
    }
  }
  if (!*begun) return {};
  const auto oldest = text_in(statements_->session_before.rows({**begun - limits_.sessions}));
  if (!oldest) return fail(oldest.error());
  for (bool goes_on = oldest->has_value(); goes_on;) {
    const auto dropped = forget_piece_of(**oldest);
    if (!dropped) return fail(dropped.error());
    goes_on = *dropped;
  }
  return {};
}

Result<void> ReceiptBook::keep_one(const ConnectionReceipt& connection) {
  const auto put = number_in(statements_->put_connection.rows(
      {connection.session, number(connection.number), connection.name, to_number(connection.started),
       time_or_null(connection.ended), connection.address, connection.tls, connection.verified, connection.mechanism,
       connection.greeting, connection.reply, connection.how, time_or_null(connection.certificate_until)}));
  if (!put) return fail(put.error());
  const std::int64_t last = put->value_or(0) - limits_.connections;
  const auto oldest = text_in(statements_->connection_before.rows({last}));
  if (!oldest) return fail(oldest.error());
  if (!*oldest) return {};
  if (!(*oldest)->empty()) {
    if (auto gone = done(statements_->forget_recipients_on.run({**oldest})); !gone) return gone;
    if (auto gone = done(statements_->forget_messages_on.run({**oldest})); !gone) return gone;
  }
  return done(statements_->forget_connection.run({last}));
}

Result<void> ReceiptBook::keep_one(const MessageReceipt& message) {
  const auto put = number_in(statements_->put_message.rows(
      {message.connection, message.id, message.reverse_path, number(message.unlisted), number(message.size),
       message.digest, message.reply, static_cast<std::int64_t>(message.fate), to_number(message.time)}));
  if (!put) return fail(put.error());
  const std::int64_t place = put->value_or(0);
  std::int64_t last = 0;
  for (const auto& one : message.recipients) {
    const auto added =
        number_in(statements_->put_recipient.rows({place, one.address, static_cast<std::int64_t>(one.by), one.reply}));
    if (!added) return fail(added.error());
    last = added->value_or(0);
  }
  return make_room_behind(place, last);
}

Result<void> ReceiptBook::keep_one(const FlushReceipt& flush) {
  const auto put = number_in(statements_->put_flush.rows(
      {flush.id, to_number(flush.started), to_number(flush.ended), name(flush.outcome), name(flush.cause), flush.text,
       number(flush.messages), number(flush.recipients), number(flush.bytes), number(flush.deferred),
       number(flush.bounced), flush.server, time_or_null(flush.certificate_until)}));
  if (!put) return fail(put.error());
  if (!*put) return {};
  const Sums sums{{"messages", flush.messages},
                  {"recipients", flush.recipients},
                  {"bytes", flush.bytes},
                  {"deferred", flush.deferred},
                  {"bounced", flush.bounced}};
  if (auto added = add_up({}, flush.outcome, sums); !added) return added;
  return done(statements_->forget_flushes.run({**put - limits_.flushes}));
}

Result<void> ReceiptBook::add_up(const std::string& provider, Outcome outcome, const Sums& sums) {
  if (auto added =
          done(statements_->add_up.run({provider, std::string_view("sessions"), name(outcome), std::int64_t{1}}));
      !added)
    return added;
  for (const auto& [of, count] : sums) {
    auto added = done(statements_->add_up.run({provider, std::string_view(of), std::string_view(), number(count)}));
    if (!added) return added;
  }
  return {};
}

// The newest message stays, whatever it is.
Result<void> ReceiptBook::make_room_behind(std::int64_t message, std::int64_t recipient) {
  const auto crowded = number_in(statements_->message_before.rows({recipient - limits_.recipients}));
  if (!crowded) return fail(crowded.error());
  const std::int64_t last = std::min(std::max(message - limits_.messages, crowded->value_or(0)), message - 1);
  if (auto gone = done(statements_->forget_recipients_to.run({last})); !gone) return gone;
  return done(statements_->forget_messages_to.run({last}));
}

Result<bool> ReceiptBook::forget_piece(WallTime before) {
  if (auto gone = done(statements_->forget_flushes_before.run({to_number(before)})); !gone) return fail(gone.error());
  for (int sessions = 0; sessions < k_sessions_in_piece; ++sessions) {
    const auto oldest = text_in(statements_->started_before.rows({to_number(before)}));
    if (!oldest) return fail(oldest.error());
    if (!*oldest) return sessions > 0;
    const auto has_more = forget_piece_of(**oldest);
    if (!has_more) return fail(has_more.error());
    if (*has_more) break;
  }
  return true;
}

// True: some of it is left.
Result<bool> ReceiptBook::forget_piece_of(const std::string& session) {
  if (auto gone = done(statements_->forget_recipients.run({session, k_messages_in_piece})); !gone)
    return fail(gone.error());
  const auto messages = statements_->forget_messages.run({session, k_messages_in_piece});
  if (!messages) return fail(messages.error());
  if (*messages == static_cast<std::uint64_t>(k_messages_in_piece)) return true;
  if (auto gone = done(statements_->forget_connections.run({session})); !gone) return fail(gone.error());
  if (auto gone = done(statements_->forget_session.run({session})); !gone) return fail(gone.error());
  return false;
}

// --- reading

Result<std::vector<SessionReceipt>> ReceiptBook::last_sessions() {
  return all_of<SessionReceipt>(statements_->last_sessions.rows(), session_in);
}

Result<std::optional<SessionReceipt>> ReceiptBook::last_good(const std::string& provider) {
  return first_of(all_of<SessionReceipt>(statements_->last_good.rows({provider}), session_in));
}

Result<std::vector<SessionReceipt>> ReceiptBook::answers_of(const std::string& provider, std::uint64_t most) {
  return all_of<SessionReceipt>(statements_->answers.rows({provider, number(most)}), session_in);
}

Result<std::uint64_t> ReceiptBook::sessions_of(const std::string& provider) {
  const auto count = number_in(statements_->count_sessions.rows({provider}));
  if (!count) return fail(count.error());
  return static_cast<std::uint64_t>(count->value_or(0));
}

Result<std::optional<ConnectionReceipt>> ReceiptBook::last_certificate(const std::string& provider) {
  return first_of(all_of<ConnectionReceipt>(statements_->last_certificate.rows({provider}), connection_in));
}

Result<std::optional<FlushReceipt>> ReceiptBook::last_flush() {
  return first_of(all_of<FlushReceipt>(statements_->last_flush.rows(), flush_in));
}

Result<std::optional<FlushReceipt>> ReceiptBook::last_flush_with_certificate() {
  return first_of(all_of<FlushReceipt>(statements_->last_flush_with_certificate.rows(), flush_in));
}

Result<std::vector<Day>> ReceiptBook::received(const std::string& provider, WallTime now, std::uint64_t days) {
  return all_of<Day>(statements_->received.rows({to_number(now), number(days) * k_day, provider}), day_in);
}

Result<std::vector<Day>> ReceiptBook::sent(WallTime now, std::uint64_t days) {
  return all_of<Day>(statements_->sent.rows({to_number(now), number(days) * k_day}), day_in);
}

Result<std::vector<Total>> ReceiptBook::totals() {
  return all_of<Total>(statements_->totals.rows(), total_in);
}

Result<std::vector<SessionReceipt>> ReceiptBook::sessions_named(const std::string& beginning, std::uint64_t most) {
  return all_of<SessionReceipt>(statements_->sessions_named.rows({beginning, number(most)}), session_in);
}

Result<std::vector<ConnectionReceipt>> ReceiptBook::connections(const std::string& session, std::uint64_t after,
                                                                std::uint64_t most) {
  return all_of<ConnectionReceipt>(statements_->connections.rows({session, number(after), number(most)}),
                                   connection_in);
}

Result<std::vector<ReceiptBook::Line>> ReceiptBook::messages(const std::string& connection, std::int64_t after,
                                                             std::uint64_t most) {
  auto found = all_of<Line>(statements_->messages.rows({connection, after, number(most)}), line_in);
  if (!found) return found;
  for (auto& line : *found) {
    if (auto read = read_recipients(line); !read) return fail(read.error());
  }
  return found;
}

Result<void> ReceiptBook::read_recipients(Line& line) {
  auto found = all_of<RecipientReceipt>(statements_->recipients.rows({line.place}), recipient_in);
  if (!found) return fail(found.error());
  line.message.recipients = std::move(*found);
  return {};
}

}  // namespace odmr::journal
