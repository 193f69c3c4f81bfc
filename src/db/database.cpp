#include "db/database.hpp"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/ascii.hpp"

namespace odmr::db {

namespace {

constexpr int k_patience_ms = 5000;
constexpr int k_pause_ms = 10;
constexpr int k_long_log = 1000;  // pages: four megabytes
constexpr int k_worth_it = 200;
constexpr std::int64_t k_damaged = -1;  // in the place of a version
constexpr const char* k_found_damaged = "it was found to be damaged";
constexpr const char* k_newer = "a newer version of this program has made it";

Errc code_for(sqlite3* database, int result) {
  switch (result & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_ERROR:  // our own SQL is right: the tables are not what it expects
      return Errc::malformed;
    case SQLITE_FULL:
      return Errc::no_space;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Errc::busy;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return Errc::denied;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR: {
      const int number = database != nullptr ? sqlite3_system_errno(database) : 0;
      return number != 0 ? system_error(number, {}).code : Errc::io;
    }
    default:
      return Errc::io;
  }
}

tl::unexpected<Error> failed(sqlite3* database, int result) {
  const char* text = database != nullptr ? sqlite3_errmsg(database) : sqlite3_errstr(result);
  return fail(code_for(database, result), text);
}

tl::unexpected<Error> failed(sqlite3* database) {
  return failed(database, sqlite3_extended_errcode(database));
}

int note_log_pages(void* pages, sqlite3* /*database*/, const char* /*name*/, int count) {
  *static_cast<int*>(pages) = count;
  return SQLITE_OK;
}

// What SQLite would open, and wait at, or make behind a link.
Result<void> refuse_what_is_no_file(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode)) return {};
  const bool is_link = S_ISLNK(status.st_mode);
  return fail(Errc::io, std::string(is_link ? "it is a symbolic link" : "it is no regular file") + ": move it away");
}

Result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return fail(system_error(errno, "unlink " + path));
}

}  // namespace

// --- statements

Rows::~Rows() {
  if (statement_ != nullptr) sqlite3_reset(statement_);
}

Rows::Rows(Rows&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)) {}

Result<bool> Rows::next() {
  const int result = sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return failed(sqlite3_db_handle(statement_));
}

bool Rows::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::int64_t Rows::number(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string_view Rows::text(int column) const {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
  return bytes != nullptr ? std::string_view(bytes, size) : std::string_view();
}

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Result<void> Statement::make_ready() {
  if (statement_) return {};
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v3(database_, sql_.data(), static_cast<int>(sql_.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (result != SQLITE_OK) return failed(database_);
  statement_.reset(statement);
  sql_ = std::string();
  return {};
}

Result<void> Statement::bind(Values values) {
  sqlite3_stmt* const statement = statement_.get();
  int place = 0;
  for (const auto& one : values) {
    ++place;
    int result = SQLITE_OK;
    if (const auto* number = std::get_if<std::int64_t>(&one.value_)) {
      result = sqlite3_bind_int64(statement, place, *number);
    } else if (const auto* text = std::get_if<std::string_view>(&one.value_)) {
      // A null pointer would be NULL, whatever the length.
      result = sqlite3_bind_text64(statement, place, text->empty() ? "" : text->data(), text->size(), SQLITE_STATIC,
                                   SQLITE_UTF8);
    } else {
      result = sqlite3_bind_null(statement, place);
    }
    if (result != SQLITE_OK) return failed(sqlite3_db_handle(statement), result);
  }
  return {};
}

Result<std::uint64_t> Statement::run(Values values) {
  auto all = rows(values);
  if (!all) return fail(all.error());
  if (const auto ran = all->next(); !ran) return fail(ran.error());
  return static_cast<std::uint64_t>(sqlite3_changes64(sqlite3_db_handle(statement_.get())));
}

Result<Rows> Statement::rows(Values values) {
  if (auto ready = make_ready(); !ready) return fail(ready.error());
  if (auto bound = bind(values); !bound) return fail(bound.error());
  return Rows(statement_.get());
}

// --- the database

void Database::Close::operator()(sqlite3* database) const {
  sqlite3_close_v2(database);
}

Result<Database> Database::connect(const std::string& path, int flags) {
  if (auto fits = refuse_what_is_no_file(path); !fits) return fail(fits.error());
  sqlite3* opened = nullptr;
  if ((flags & SQLITE_OPEN_READONLY) == 0) flags |= SQLITE_OPEN_READWRITE;
  const int result = sqlite3_open_v2(path.c_str(), &opened, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  Database database(opened);
  if (result != SQLITE_OK) return failed(opened, result);
  sqlite3_extended_result_codes(opened, 1);
  database.wait_for_writers(true);
  return database;
}

Result<Database> Database::open(const std::string& path, const Schema& schema) {
  auto database = connect(path, SQLITE_OPEN_CREATE);
  if (!database) return database;
  if (auto ready = database->prepare_for_use(); !ready) return fail(ready.error());
  if (auto logged = database->use_log(); !logged) return fail(logged.error());
  if (auto ensured = database->ensure(schema); !ensured) return fail(ensured.error());
  return database;
}

Result<Database> Database::open_or_renew(const std::string& path, const Schema& schema) {
  auto database = open(path, schema);
  if (database || database.error().code != Errc::malformed) return database;
  if (auto gone = remove(path); !gone) return fail(gone.error());
  return open(path, schema);
}

Result<Database> Database::in_memory(const Schema& schema) {
  auto database = connect(":memory:", SQLITE_OPEN_MEMORY);
  if (!database) return database;
  if (auto ready = database->prepare_for_use(); !ready) return fail(ready.error());
  if (auto ensured = database->ensure(schema); !ensured) return fail(ensured.error());
  return database;
}

namespace {

// "file:" and the path, in which only the letters that mean nothing there stand for themselves.
std::string immutable_uri(const std::string& path) {
  std::string uri = "file:";
  for (const char c : path) {
    if (is_alnum(c) || c == '/' || c == '.' || c == '-' || c == '_') {
      uri += c;
    } else {
      constexpr const char* k_digits = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      uri += {'%', k_digits[byte >> 4U], k_digits[byte & 0xfU]};
    }
  }
  return uri + "?immutable=1";
}

}  // namespace

Result<Database> Database::open_to_read(const std::string& path, const Schema& schema) {
  if (auto fits = refuse_what_is_no_file(path); !fits) return fail(fits.error());
  if (::access(path.c_str(), R_OK) != 0) return fail(system_error(errno, path));
  auto database = connect(path, SQLITE_OPEN_READONLY);
  if (!database) return database;
  auto version = database->number("PRAGMA user_version");
  // Without its log, which nobody may make who may not write there, the file is all that there is, and at rest.
  const bool is_at_rest = ::access((path + "-wal").c_str(), F_OK) != 0;
  if (!version && is_at_rest && version.error().code != Errc::malformed) {
    database = connect(immutable_uri(path), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
    if (!database) return database;
    version = database->number("PRAGMA user_version");
  }
  if (!version) return fail(version.error());
  if (*version == k_damaged) return fail(Errc::malformed, k_found_damaged);
  if (*version < schema.version) {
    database = database->copy_in_memory();
    if (!database) return database;
    if (auto ensured = database->ensure(schema); !ensured) return fail(ensured.error());
    return database;
  }
  if (*version > schema.version) return fail(Errc::denied, k_newer, Cause::state_of_newer_version);
  if (auto ready = database->prepare_for_use(); !ready) return fail(ready.error());
  return database;
}

Result<Database> Database::open_damaged(const std::string& path) {
  auto database = connect(path, SQLITE_OPEN_READONLY);
  if (!database) return database;
  if (auto ready = database->prepare_for_use(); !ready) return fail(ready.error());
  return database;
}

Result<void> Database::mark_as_damaged() {
  return run(("PRAGMA user_version = " + std::to_string(k_damaged)).c_str());
}

// What is in the file is not believed: damage is looked for, and no function in its schema is called.
Result<void> Database::prepare_for_use() {
  return run("PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;");
}

Result<void> Database::use_log() {
  sqlite3* const database = database_.get();
  auto mode = prepare("PRAGMA journal_mode = WAL");
  if (!mode) return fail(mode.error());
  // Two who begin the log at once give way to each other without waiting: SQLite calls no busy handler there.
  for (int waited = 0;; waited += k_pause_ms) {
    auto rows = mode->rows();
    if (!rows) return fail(rows.error());
    const auto is_set = rows->next();
    if (is_set && rows->text(0) != "wal") return fail(Errc::io, "this file system does not allow a write-ahead log");
    if (is_set) break;
    if (is_set.error().code != Errc::busy || waited >= k_patience_ms) return fail(is_set.error());
    sqlite3_sleep(k_pause_ms);
  }
  if (auto set = run("PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 8388608;"); !set) return set;
  sqlite3_wal_hook(database, &note_log_pages, log_pages_.get());  // in the place of its own, which makes checkpoints
  return {};
}

Result<std::int64_t> Database::number(const char* sql) {
  auto statement = prepare(sql);
  if (!statement) return fail(statement.error());
  auto rows = statement->rows();
  if (!rows) return fail(rows.error());
  const auto is_there = rows->next();
  if (!is_there) return fail(is_there.error());
  return rows->number(0);
}

Result<void> Database::ensure(const Schema& schema) {
  auto version = number("PRAGMA user_version");
  if (!version) return fail(version.error());
  if (*version == schema.version) return {};

  auto transaction = Transaction::begin(*this);
  if (!transaction) return fail(transaction.error());
  // Somebody else may have been quicker.
  version = number("PRAGMA user_version");
  if (!version) return fail(version.error());
  if (*version == schema.version) return {};
  if (auto made = make_or_upgrade(schema, *version); !made) return made;
  if (auto set = run(("PRAGMA user_version = " + std::to_string(schema.version)).c_str()); !set) return set;
  return transaction->commit();
}

Result<void> Database::make_or_upgrade(const Schema& schema, std::int64_t version) {
  const auto tables = number("SELECT count(*) FROM sqlite_schema");
  if (!tables) return fail(tables.error());
  if (version == 0 && *tables == 0) return run(schema.sql);
  if (version == k_damaged) return fail(Errc::malformed, k_found_damaged);
  if (version < 1 || schema.upgrades.empty()) {
    return fail(Errc::malformed, "the database is of another version or program");
  }
  if (version > schema.version) return fail(Errc::denied, k_newer, Cause::state_of_newer_version);
  for (const char* step : schema.upgrades.subspan(static_cast<std::size_t>(version - 1))) {
    if (auto climbed = run(step); !climbed) return climbed;
  }
  return {};
}

Result<Statement> Database::prepare(std::string_view sql) {
  Statement statement(database_.get(), std::string(sql));
  if (auto ready = statement.make_ready(); !ready) return fail(ready.error());
  return statement;
}

Result<void> Database::prepare_all(std::initializer_list<std::pair<Statement*, std::string>> statements) {
  for (const auto& [statement, sql] : statements) *statement = Statement(database_.get(), sql);
  return statements.size() == 0 ? Result<void>() : statements.begin()->first->make_ready();
}

Result<void> Database::run(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failed(database_.get());
  return {};
}

Result<Database> Database::copy_in_memory() {
  auto copy = connect(":memory:", SQLITE_OPEN_MEMORY);
  if (!copy) return copy;
  sqlite3_backup* const backup = sqlite3_backup_init(copy->database_.get(), "main", database_.get(), "main");
  if (backup == nullptr) return failed(copy->database_.get());
  sqlite3_backup_step(backup, -1);
  if (sqlite3_backup_finish(backup) != SQLITE_OK) return failed(copy->database_.get());
  // A copy of a log's database says that it has one too, which memory cannot have.
  if (auto ready = copy->run("PRAGMA journal_mode = MEMORY"); !ready) return fail(ready.error());
  if (auto ready = copy->prepare_for_use(); !ready) return fail(ready.error());
  return copy;
}

bool Database::wants_checkpoint(bool at_leisure) const {
  return *log_pages_ >= (at_leisure ? k_worth_it : k_long_log);
}

Result<void> Database::checkpoint(const std::string& path) {
  auto database = connect(path, 0);
  if (!database) return fail(database.error());
  return database->run("PRAGMA wal_checkpoint(PASSIVE)");
}

Result<void> Database::empty_log(const std::string& path) {
  auto database = connect(path, 0);
  if (!database) return fail(database.error());
  return database->run("PRAGMA wal_checkpoint(TRUNCATE)");
}

// The file first: a log without its file is cleared away by whoever makes a new one.
Result<void> Database::remove(const std::string& path) {
  for (const char* part : {"", "-wal", "-shm"}) {
    if (auto removed = remove_file(path + part); !removed) return removed;
  }
  return {};
}

// --- transactions

// SQLite takes the change between transactions alone.
Result<void> Database::sync_commits(bool synced) {
  if (commits_are_synced_ == synced) return {};
  auto set = run(synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
  if (set) commits_are_synced_ = synced;
  return set;
}

void Database::wait_for_writers(bool patiently) {
  sqlite3_busy_timeout(database_.get(), patiently ? k_patience_ms : 0);
}

Result<Transaction> Transaction::begin_writing(Database& database, bool synced) {
  if (auto set = database.sync_commits(synced); !set) return fail(set.error());
  if (auto begun = database.run("BEGIN IMMEDIATE"); !begun) return fail(begun.error());
  return Transaction(database);
}

Result<Transaction> Transaction::begin(Database& database) {
  return begin_writing(database, false);
}

Result<Transaction> Transaction::begin_at_once(Database& database) {
  database.wait_for_writers(false);
  auto begun = begin_writing(database, false);
  database.wait_for_writers(true);
  return begun;
}

Result<Transaction> Transaction::begin_synced(Database& database) {
  return begin_writing(database, true);
}

Result<Transaction> Transaction::begin_reading(Database& database) {
  if (auto begun = database.run("BEGIN"); !begun) return fail(begun.error());
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  if (database_ != nullptr) static_cast<void>(database_->run("ROLLBACK"));
}

Result<void> Transaction::commit() {
  auto committed = database_->run("COMMIT");
  if (committed) database_ = nullptr;
  return committed;
}

}  // namespace odmr::db
