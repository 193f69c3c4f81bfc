#include "journal/book.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "journal/stored_time.hpp"

namespace odmr::journal {

namespace {

constexpr const char* k_entries = R"(
  CREATE TABLE entry(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    provider TEXT NOT NULL,
    reverse_path TEXT NOT NULL,
    recipient TEXT NOT NULL,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    connection TEXT NOT NULL,
    answer INTEGER NOT NULL,
    fate INTEGER NOT NULL,
    time INTEGER NOT NULL,
    kept TEXT NOT NULL DEFAULT '',
    age INTEGER NOT NULL DEFAULT 0,
    aged INTEGER NOT NULL DEFAULT 0,
    mailbox TEXT NOT NULL DEFAULT '',
    uid TEXT NOT NULL DEFAULT '') STRICT;
  CREATE INDEX entry_address ON entry(provider, recipient, reverse_path);
  CREATE INDEX entry_connection ON entry(connection);
)";

// A mailbox may hold a hundred thousand messages, so its name is not in each row.
constexpr const char* k_collected = R"(
  CREATE INDEX entry_uid ON entry(uid, mailbox) WHERE uid <> '';
  CREATE TABLE mailbox(
    id INTEGER PRIMARY KEY,
    provider TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE(provider, name)) STRICT;
  CREATE TABLE collected(
    mailbox INTEGER NOT NULL,
    uid TEXT NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY(mailbox, uid)) STRICT, WITHOUT ROWID;
)";

// Which copies of messages were delivered, by digests: the provider puts one into the mailbox for each recipient.
constexpr const char* k_copies = R"(
  CREATE TABLE copy(
    mailbox INTEGER NOT NULL,
    header BLOB NOT NULL,
    whole BLOB NOT NULL,
    recipient TEXT NOT NULL,
    age INTEGER NOT NULL DEFAULT 0,
    aged INTEGER NOT NULL,
    PRIMARY KEY(mailbox, header, whole, recipient)) STRICT, WITHOUT ROWID;
)";

constexpr const char* k_kept = "ALTER TABLE entry ADD COLUMN kept TEXT NOT NULL DEFAULT '';";

constexpr const char* k_age = R"(
  ALTER TABLE entry ADD COLUMN age INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE entry ADD COLUMN aged INTEGER NOT NULL DEFAULT 0;
  UPDATE entry SET aged = time;
)";

constexpr const char* k_origin = R"(
  ALTER TABLE entry ADD COLUMN mailbox TEXT NOT NULL DEFAULT '';
  ALTER TABLE entry ADD COLUMN uid TEXT NOT NULL DEFAULT '';
)";

// 1: the entries. 2: mail that is kept here, and the receipts. 3: what a provider refused, what was sent, sums.
// 4: how old entries are, and when that was counted last. 5: what was collected from mailboxes. 6: copies of that.
db::Schema schema() {
  static const std::string sql = std::string(k_entries) + k_collected + k_copies + ReceiptBook::tables();
  static const std::string to_2 = std::string(k_kept) + ReceiptBook::tables_of_version_2();
  static const std::string to_5 = std::string(k_origin) + k_collected;
  static const std::array<const char*, 5> upgrades{to_2.c_str(), ReceiptBook::added_in_version_3(), k_age, to_5.c_str(),
                                                   k_copies};
  return {6, sql.c_str(), upgrades};
}

// What the provider may offer again: it was told 4xx, or it was told 2xx and perhaps has not read it. While the
// connection that it was told so on lives, it has not lost that answer: the same bytes again are another message. What
// has a name of its own is not known by its bytes.
constexpr const char* k_open =
    " provider = ?1 AND recipient = ?2 AND reverse_path = ?3 AND (answer = 2 OR answer = 1 AND connection <> ?4) "
    "AND uid = '' ";
constexpr const char* k_all_open =
    "SELECT reverse_path, recipient FROM entry "
    "WHERE provider = ?1 AND (answer = 2 OR answer = 1 AND connection <> ?2) AND uid = '' LIMIT ?3";

Result<void> done(const Result<std::uint64_t>& run) {
  if (!run) return fail(run.error());
  return {};
}

}  // namespace

struct Book::Statements {
  db::Statement may_be_had, each_open, find, put, settle, settle_elsewhere, forget, forget_answered, grow_older,
      forget_older, forget_provider;
  db::Statement kept, kept_is_there, forget_kept, forget_all, check, check_collected, in_doubt, entries, entry,
      take_over;
  db::Statement parts, collected, each_collected, all_collected, name_mailbox, remember_collected, forget_collected,
      forget_parts;
  db::Statement has_copies, copied_to, remember_copy, copies_grow_older, forget_older_copies, forget_copies_of,
      forget_all_copies, check_copies;
  std::optional<ReceiptBook> receipts;

  Result<void> prepare(db::Database& database);
};

Result<void> Book::Statements::prepare(db::Database& database) {
  const std::string all_columns =
      "SELECT id, provider, reverse_path, recipient, digest, size, connection, answer, fate, kept, time, mailbox, uid "
      "FROM entry ";
  const std::string mailbox_id = "(SELECT id FROM mailbox WHERE provider = ?1 AND name = ?2)";
  const std::string settled =
      "answer = ?3, fate = max(fate, ?4), kept = CASE WHEN ?4 = 2 THEN ?6 ELSE kept END, "
      "time = ?5, age = 0, aged = ?5 ";
  auto prepared = database.prepare_all({
      {&may_be_had, "SELECT EXISTS(SELECT 1 FROM entry WHERE" + std::string(k_open) + ")"},
      {&each_open, k_all_open},
      {&find, "SELECT id FROM entry WHERE" + std::string(k_open) + "AND digest = CAST(?5 AS BLOB) ORDER BY id"},
      {&put, R"(INSERT INTO entry(provider, reverse_path, recipient, digest, size, connection, answer, fate, time,
                                  aged, mailbox, uid)
                VALUES (?1, ?2, ?3, CAST(?4 AS BLOB), ?5, ?6, 0, 0, ?7, ?7, ?8, ?9) RETURNING id)"},
      {&settle, "UPDATE entry SET " + settled + "WHERE id = ?1 AND connection = ?2"},
      {&settle_elsewhere, "UPDATE entry SET connection = ?2, " + settled + "WHERE id = ?1"},
      {&forget, "DELETE FROM entry WHERE id = ?"},
      {&forget_answered, "DELETE FROM entry WHERE connection = ? AND answer = 1"},
      {&grow_older,
       "UPDATE entry SET age = age + max(0, min(?1 - aged, ?2)), aged = ?1 "
       "WHERE ?1 < aged OR ?1 - aged >= ?2 / 24"},
      {&forget_older, "DELETE FROM entry WHERE age > ?"},
      {&forget_provider, "DELETE FROM entry WHERE provider = ?"},
      {&kept, "SELECT DISTINCT kept FROM entry WHERE kept <> ''"},
      {&kept_is_there, "UPDATE entry SET kept = '' WHERE kept = ?"},
      {&forget_kept, "DELETE FROM entry WHERE kept = ?"},
      {&forget_all, "DELETE FROM entry"},
      {&check, "PRAGMA integrity_check(entry)"},
      {&check_collected, "PRAGMA integrity_check(collected)"},
      {&in_doubt, all_columns + "WHERE answer = 0 ORDER BY id"},
      {&entries, all_columns + "WHERE id > ? ORDER BY id LIMIT ?"},
      {&entry, all_columns + "WHERE id = ?"},
      {&take_over,
       "INSERT INTO entry(id, provider, reverse_path, recipient, digest, size, connection, answer, fate, kept, time, "
       "aged, mailbox, uid) VALUES (?1, ?2, ?3, ?4, CAST(?5 AS BLOB), ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, ?13)"},
      {&parts,
       "SELECT id, recipient FROM entry WHERE provider = ?1 AND mailbox = ?2 AND uid = ?3 AND uid <> '' "
       "AND answer <> 0 ORDER BY id"},
      {&collected, "SELECT time FROM collected WHERE mailbox = " + mailbox_id + " AND uid = ?3"},
      {&each_collected, "SELECT uid FROM collected WHERE mailbox = " + mailbox_id},
      {&all_collected,
       "SELECT provider, name, uid, time FROM collected JOIN mailbox ON mailbox.id = collected.mailbox"},
      {&name_mailbox, "INSERT OR IGNORE INTO mailbox(provider, name) VALUES (?1, ?2)"},
      {&remember_collected, "INSERT OR REPLACE INTO collected(mailbox, uid, time) VALUES (" + mailbox_id + ", ?3, ?4)"},
      {&forget_collected, "DELETE FROM collected WHERE mailbox = " + mailbox_id + " AND uid = ?3"},
      {&has_copies,
       "SELECT EXISTS(SELECT 1 FROM copy WHERE mailbox = " + mailbox_id + " AND header = CAST(?3 AS BLOB))"},
      {&copied_to, "SELECT recipient FROM copy WHERE mailbox = " + mailbox_id +
                       " AND header = CAST(?3 AS BLOB) AND whole = CAST(?4 AS BLOB)"},
      {&remember_copy, "INSERT OR REPLACE INTO copy(mailbox, header, whole, recipient, aged) VALUES (" + mailbox_id +
                           ", CAST(?3 AS BLOB), CAST(?4 AS BLOB), ?5, ?6)"},
      {&copies_grow_older,
       "UPDATE copy SET age = age + max(0, min(?1 - aged, ?2)), aged = ?1 "
       "WHERE ?1 < aged OR ?1 - aged >= ?2 / 24"},
      {&forget_older_copies, "DELETE FROM copy WHERE age > ?"},
      {&forget_copies_of, "DELETE FROM copy WHERE mailbox IN (SELECT id FROM mailbox WHERE provider = ?)"},
      {&forget_all_copies, "DELETE FROM copy"},
      {&check_copies, "PRAGMA integrity_check(copy)"},
      {&forget_parts, "DELETE FROM entry WHERE provider = ?1 AND mailbox = ?2 AND uid = ?3 AND uid <> ''"},
  });
  if (!prepared) return prepared;
  auto receipt_book = ReceiptBook::over(database);
  if (!receipt_book) return fail(receipt_book.error());
  receipts.emplace(std::move(*receipt_book));
  return {};
}

Book::Book(db::Database database, std::unique_ptr<Statements> statements)
    : database_(std::move(database)), statements_(std::move(statements)) {}
Book::Book(Book&&) noexcept = default;
Book& Book::operator=(Book&&) noexcept = default;
Book::~Book() = default;

Result<Book> Book::open(const std::string& path) {
  return over(db::Database::open(path, schema()));
}

Result<Book> Book::open_to_read(const std::string& path) {
  return over(db::Database::open_to_read(path, schema()));
}

Result<Book> Book::open_damaged(const std::string& path) {
  return over(db::Database::open_damaged(path));
}

Result<Book> Book::in_memory() {
  return over(db::Database::in_memory(schema()));
}

Result<Book> Book::over(Result<db::Database> database) {
  if (!database) return fail(database.error());
  auto statements = std::make_unique<Statements>();
  if (auto prepared = statements->prepare(*database); !prepared) return fail(prepared.error());
  return Book(std::move(*database), std::move(statements));
}

// --- what was had

Result<bool> Book::may_be_had(const Address& address, const std::string& connection) {
  auto rows = statements_->may_be_had.rows({address.provider, address.recipient, address.reverse_path, connection});
  if (!rows) return fail(rows.error());
  const auto is_there = rows->next();
  if (!is_there) return fail(is_there.error());
  return rows->number(0) != 0;
}

Result<void> Book::each_open(const std::string& provider, const std::string& connection, std::uint64_t most,
                             const std::function<void(const Address&)>& see) {
  auto rows = statements_->each_open.rows({provider, connection, static_cast<std::int64_t>(most)});
  if (!rows) return fail(rows.error());
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) return {};
    see({provider, rows->text(0), rows->text(1)});
  }
}

Result<std::optional<EntryId>> Book::find(const Address& address, std::string_view digest,
                                          const std::string& connection, const std::vector<EntryId>& except) {
  auto rows = statements_->find.rows({address.provider, address.recipient, address.reverse_path, connection, digest});
  if (!rows) return fail(rows.error());
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) return std::nullopt;
    const EntryId id = rows->number(0);
    if (std::find(except.begin(), except.end(), id) == except.end()) return id;
  }
}

// --- what was collected from mailboxes

Result<std::vector<Part>> Book::parts(const Origin& origin) {
  auto rows = statements_->parts.rows({origin.provider, origin.mailbox, origin.uid});
  if (!rows) return fail(rows.error());
  std::vector<Part> found;
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) return found;
    found.push_back({rows->number(0), std::string(rows->text(1))});
  }
}

Result<bool> Book::has_copies(const CopyKey& key) {
  auto rows = statements_->has_copies.rows({key.mailbox.provider, key.mailbox.mailbox, key.header});
  if (!rows) return fail(rows.error());
  const auto is_there = rows->next();
  if (!is_there) return fail(is_there.error());
  return rows->number(0) != 0;
}

Result<std::vector<std::string>> Book::copied_to(const CopyKey& key) {
  auto rows = statements_->copied_to.rows({key.mailbox.provider, key.mailbox.mailbox, key.header, key.whole});
  if (!rows) return fail(rows.error());
  std::vector<std::string> recipients;
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) return recipients;
    recipients.emplace_back(rows->text(0));
  }
}

Result<std::optional<WallTime>> Book::collected(const Origin& origin) {
  auto rows = statements_->collected.rows({origin.provider, origin.mailbox, origin.uid});
  if (!rows) return fail(rows.error());
  const auto is_there = rows->next();
  if (!is_there) return fail(is_there.error());
  if (!*is_there) return std::nullopt;
  return to_time(rows->number(0));
}

Result<void> Book::each_collected(const Origin& origin, const std::function<void(std::string_view uid)>& see) {
  auto rows = statements_->each_collected.rows({origin.provider, origin.mailbox});
  if (!rows) return fail(rows.error());
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) return {};
    see(rows->text(0));
  }
}

Result<void> Book::each_collected(const std::function<Result<void>(const Origin& origin, WallTime time)>& see) {
  auto rows = statements_->all_collected.rows();
  if (!rows) return fail(rows.error());
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) return {};
    const Origin origin{std::string(rows->text(0)), std::string(rows->text(1)), std::string(rows->text(2))};
    if (auto seen = see(origin, to_time(rows->number(3))); !seen) return seen;
  }
}

// --- housekeeping

Result<std::vector<Entry>> Book::all_of(Result<db::Rows> rows) {
  if (!rows) return fail(rows.error());
  std::vector<Entry> found;
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) return found;
    Entry& entry = found.emplace_back();
    entry.id = rows->number(0);
    entry.provider = rows->text(1);
    entry.reverse_path = rows->text(2);
    entry.recipient = rows->text(3);
    entry.digest = rows->text(4);
    entry.size = static_cast<std::uint64_t>(rows->number(5));
    entry.connection = rows->text(6);
    entry.answer = static_cast<Answer>(rows->number(7));
    entry.fate = static_cast<Fate>(rows->number(8));
    entry.kept = rows->text(9);
    entry.time = to_time(rows->number(10));
    entry.mailbox = rows->text(11);
    entry.uid = rows->text(12);
  }
}

Result<void> Book::check() {
  for (auto* statement : {&statements_->check, &statements_->check_collected, &statements_->check_copies}) {
    auto rows = statement->rows();
    if (!rows) return fail(rows.error());
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (rows->text(0) != "ok") return fail(Errc::malformed, std::string(rows->text(0)));
  }
  return {};
}

Result<std::vector<Entry>> Book::in_doubt() {
  return all_of(statements_->in_doubt.rows());
}

Result<std::vector<Entry>> Book::entries(EntryId after, std::uint64_t most) {
  return all_of(statements_->entries.rows({after, static_cast<std::int64_t>(most)}));
}

Result<std::vector<std::string>> Book::kept() {
  auto rows = statements_->kept.rows();
  if (!rows) return fail(rows.error());
  std::vector<std::string> ids;
  for (;;) {
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    if (!*is_there) return ids;
    ids.emplace_back(rows->text(0));
  }
}

Result<std::optional<Entry>> Book::entry(EntryId id) {
  auto found = all_of(statements_->entry.rows({id}));
  if (!found) return fail(found.error());
  if (found->empty()) return std::nullopt;
  return std::move(found->front());
}

ReceiptBook& Book::receipts() {
  return *statements_->receipts;
}

// --- writing

Result<Book::Page> Book::begin(bool synced) {
  return page_of(synced ? db::Transaction::begin_synced(database_) : db::Transaction::begin(database_));
}

Result<Book::Page> Book::begin_at_once() {
  return page_of(db::Transaction::begin_at_once(database_));
}

Result<Book::Page> Book::page_of(Result<db::Transaction> transaction) {
  if (!transaction) return fail(transaction.error());
  return Page(*statements_, std::move(*transaction));
}

Result<std::vector<EntryId>> Book::Page::intend(const Intent& intent, WallTime now) {
  std::vector<EntryId> ids;
  for (const auto& recipient : intent.recipients) {
    auto rows = statements_->put.rows({intent.provider, intent.reverse_path, recipient, intent.digest,
                                       static_cast<std::int64_t>(intent.size), intent.connection, to_number(now),
                                       intent.origin.mailbox, intent.origin.uid});
    if (!rows) return fail(rows.error());
    const auto is_there = rows->next();
    if (!is_there) return fail(is_there.error());
    ids.push_back(rows->number(0));
  }
  return ids;
}

Result<void> Book::Page::settle(const Verdict& verdict, WallTime now) {
  for (const auto& [id, fate] : verdict.had) {
    const db::Values values = {id,
                               verdict.connection,
                               static_cast<std::int64_t>(verdict.answer),
                               static_cast<std::int64_t>(fate),
                               to_number(now),
                               verdict.kept};
    // Most are settled where they were meant, which leaves the index of connections as it is.
    const auto settled = statements_->settle.run(values);
    if (!settled) return fail(settled.error());
    if (*settled > 0) continue;
    if (auto moved = done(statements_->settle_elsewhere.run(values)); !moved) return moved;
  }
  for (const EntryId id : verdict.not_had) {
    if (auto gone = forget(id); !gone) return fail(gone.error());
  }
  if (verdict.copied) {
    if (auto remembered = remember_copies(*verdict.copied, now); !remembered) return remembered;
  }
  if (!verdict.collected) return {};
  const Origin& origin = *verdict.collected;
  auto gone = done(statements_->forget_parts.run({origin.provider, origin.mailbox, origin.uid}));
  if (!gone) return gone;
  return remember_collected(origin, now);
}

Result<void> Book::Page::remember_copies(const Verdict::Copied& copied, WallTime now) {
  const auto& [mailbox, header, whole] = copied.key;
  auto named = done(statements_->name_mailbox.run({mailbox.provider, mailbox.mailbox}));
  for (const auto& recipient : copied.recipients) {
    if (!named) return named;
    named = done(
        statements_->remember_copy.run({mailbox.provider, mailbox.mailbox, header, whole, recipient, to_number(now)}));
  }
  return named;
}

Result<void> Book::Page::remember_collected(const Origin& origin, WallTime time) {
  auto named = done(statements_->name_mailbox.run({origin.provider, origin.mailbox}));
  if (!named) return named;
  return done(statements_->remember_collected.run({origin.provider, origin.mailbox, origin.uid, to_number(time)}));
}

Result<void> Book::Page::forget_collected(const Origin& origin) {
  return done(statements_->forget_collected.run({origin.provider, origin.mailbox, origin.uid}));
}

Result<void> Book::Page::take_over(const Entry& entry) {
  return done(statements_->take_over.run(
      {entry.id, entry.provider, entry.reverse_path, entry.recipient, entry.digest,
       static_cast<std::int64_t>(entry.size), entry.connection, static_cast<std::int64_t>(entry.answer),
       static_cast<std::int64_t>(entry.fate), entry.kept, to_number(entry.time), entry.mailbox, entry.uid}));
}

Result<void> Book::Page::settle_kept(const std::string& id, bool is_there) {
  return done((is_there ? statements_->kept_is_there : statements_->forget_kept).run({id}));
}

Result<void> Book::Page::forget_answered(const std::string& connection) {
  return done(statements_->forget_answered.run({connection}));
}

// The clock is not to be trusted: that of a board without a battery begins in 1970 and jumps when the network has told
// the time, and whoever sets it wrong sets it right again. What lies between two dates is then no age, and an entry
// forgotten too early is a message delivered twice, while one kept too long does no harm. So no gap between two counts
// adds more than a seventh of the window, and one that leads back nothing. Small gaps wait until they are worth a
// write.
Result<std::uint64_t> Book::Page::forget_older_than(Duration window, WallTime now) {
  constexpr int k_counts = 7;
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(window);
  const auto most = whole / k_counts;
  if (auto grown = statements_->grow_older.run({to_number(now), most.count()}); !grown) return grown;
  if (auto grown = statements_->copies_grow_older.run({to_number(now), most.count()}); !grown) return grown;
  if (auto gone = statements_->forget_older_copies.run({whole.count()}); !gone) return gone;
  return statements_->forget_older.run({whole.count()});
}

Result<bool> Book::Page::forget(EntryId id) {
  const auto gone = statements_->forget.run({id});
  if (!gone) return fail(gone.error());
  return *gone > 0;
}

Result<std::uint64_t> Book::Page::forget_provider(const std::string& provider) {
  if (auto gone = statements_->forget_copies_of.run({provider}); !gone) return gone;
  return statements_->forget_provider.run({provider});
}

Result<std::uint64_t> Book::Page::forget_all() {
  if (auto gone = statements_->forget_all_copies.run(); !gone) return gone;
  return statements_->forget_all.run();
}

Result<void> Book::Page::keep(const std::vector<Receipt>& receipts) {
  return statements_->receipts->keep(receipts);
}

Result<bool> Book::Page::forget_receipts(WallTime before) {
  return statements_->receipts->forget_piece(before);
}

}  // namespace odmr::journal
