#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/error.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace odmr::db {

/// A parameter of a statement: NULL, a number or a text (any bytes, which must live until the call is over).
class Value {
 public:
  Value(std::nullptr_t) {}
  Value(std::int64_t number) : value_(number) {}
  Value(std::string_view text) : value_(text) {}
  Value(const std::string& text) : value_(std::string_view(text)) {}

 private:
  friend class Statement;
  std::variant<std::monostate, std::int64_t, std::string_view> value_;
};
using Values = std::initializer_list<Value>;

/// What a SELECT gives, row by row. Ends its reading of the database when it is destroyed; one at a time for each
/// statement, which must outlive it.
class Rows {
 public:
  ~Rows();
  Rows(Rows&& other) noexcept;
  Rows& operator=(Rows&&) = delete;

  /// Goes to the next row; false behind the last one.
  Result<bool> next();

  // Of the row it stands on, columns from 0. The text is good until next().
  bool is_null(int column) const;
  std::int64_t number(int column) const;
  std::string_view text(int column) const;

 private:
  friend class Statement;
  explicit Rows(sqlite3_stmt* statement) : statement_(statement) {}
  sqlite3_stmt* statement_;
};

/// SQL made ready once, for many uses: by Database::prepare() at once, by prepare_all() when it is used first. It may
/// be destroyed after its Database, and no more than that.
class Statement {
 public:
  /// None: to be assigned one.
  Statement() = default;

  /// With these values for its parameters, in their order. Gives the number of rows changed.
  Result<std::uint64_t> run(Values values = {});
  Result<Rows> rows(Values values = {});

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  Statement(sqlite3* database, std::string sql) : database_(database), sql_(std::move(sql)) {}
  Result<void> make_ready();
  Result<void> bind(Values values);

  sqlite3* database_ = nullptr;  // with sql_, until it is ready
  std::string sql_;

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// Tables and the number of their design. A database with another number is none of ours, unless there is a way up.
struct Schema {
  std::int64_t version = 1;
  const char* sql = "";  ///< makes all of it
  /// What leads from version 1 to 2, from 2 to 3, and so on up to `version`; or nothing: no older one is taken.
  std::span<const char* const> upgrades = {};
};

/// A database in a file, used by any number of processes at once, or in memory. For one thread at a time.
///
/// A commit is written (to the log beside the file, "-wal"), and synced where the transaction was begun so. After a
/// power cut the database is whole, but may lack what was committed since the last sync.
///
/// Errors everywhere: malformed, the file is damaged, or is not what Schema says; no_space; busy, others have not let
/// go for five seconds; denied (also: it is of a newer version), not_found, io.
class Database {
 public:
  /// Opens it, and makes it when it is missing or empty.
  static Result<Database> open(const std::string& path, const Schema& schema);
  /// The same for one that can be done without: where it is malformed, a new one takes its place.
  static Result<Database> open_or_renew(const std::string& path, const Schema& schema);
  static Result<Database> in_memory(const Schema& schema);
  /// For reading alone, also by who may not write there. One of an older version is read as a copy in memory, brought
  /// up to this one.
  static Result<Database> open_to_read(const std::string& path, const Schema& schema);

  /// For reading what is left of a damaged one: nothing is expected of it. Who reads has to look for himself.
  static Result<Database> open_damaged(const std::string& path);
  /// Whoever opens it from now on finds it malformed, wherever in it the damage is.
  Result<void> mark_as_damaged();

  Result<Statement> prepare(std::string_view sql);
  /// Puts each statement where it belongs. Only the first is made ready, which shows whether the tables can be read:
  /// a program that does little uses few of its statements, and each takes some 50 µs.
  Result<void> prepare_all(std::initializer_list<std::pair<Statement*, std::string>> statements);
  /// SQL without parameters and rows.
  Result<void> run(const char* sql);

  /// All that is in it, as a database in memory.
  Result<Database> copy_in_memory();

  /// Whether the log has become long enough to be worth a checkpoint(); `at_leisure`: nobody waits, and whoever opens
  /// it next has to read all of the log.
  bool wants_checkpoint(bool at_leisure = false) const;
  /// Moves what is in the log of `path` into the file, and syncs both: slow. Commits never do so by themselves, so
  /// that whoever commits does not wait for a disk; this may be called from another thread meanwhile.
  static Result<void> checkpoint(const std::string& path);
  /// The same, and empties the log, where nobody else reads or writes for a moment: whoever opens a database reads all
  /// of its log, also what a checkpoint has moved.
  static Result<void> empty_log(const std::string& path);

  /// Deletes the file and what belongs to it. Who has it open works on, for himself alone.
  static Result<void> remove(const std::string& path);

 private:
  friend class Transaction;
  struct Close {
    void operator()(sqlite3* database) const;
  };
  explicit Database(sqlite3* database) : database_(database), log_pages_(std::make_unique<int>(0)) {}
  static Result<Database> connect(const std::string& path, int flags);
  Result<void> prepare_for_use();
  Result<void> ensure(const Schema& schema);
  Result<void> make_or_upgrade(const Schema& schema, std::int64_t version);
  Result<void> sync_commits(bool synced);
  void wait_for_writers(bool patiently);
  Result<void> use_log();
  Result<std::int64_t> number(const char* sql);

  std::unique_ptr<sqlite3, Close> database_;
  std::unique_ptr<int> log_pages_;  // as of the last commit; SQLite holds its address
  bool commits_are_synced_ = false;
};

/// Changes that are made together or not at all. Rolled back when it is destroyed before commit().
class Transaction {
 public:
  /// Waits for other writers.
  static Result<Transaction> begin(Database& database);
  /// The same, but waits for nobody: busy where somebody writes.
  static Result<Transaction> begin_at_once(Database& database);
  /// The same, and on disk when commit() returns: with all that was committed before.
  static Result<Transaction> begin_synced(Database& database);
  /// For reading: what several statements give is of one moment.
  static Result<Transaction> begin_reading(Database& database);
  ~Transaction();
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;

  Result<void> commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  static Result<Transaction> begin_writing(Database& database, bool synced);
  Database* database_;
};

}  // namespace odmr::db
