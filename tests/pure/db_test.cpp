#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <optional>

#include "db/database.hpp"
#include "temporary_directory.hpp"

using namespace odmr;
using namespace odmr::db;
using odmr::test::TemporaryDirectory;

namespace {

using namespace std::string_literals;

constexpr Schema k_schema{3, "CREATE TABLE thing(name TEXT PRIMARY KEY, size INTEGER) STRICT;"};

Result<void> put(Database& database, const std::string& name, std::int64_t size) {
  auto statement = database.prepare("INSERT INTO thing VALUES (?, ?)");
  if (!statement) return fail(statement.error());
  const auto ran = statement->run({name, size});
  if (!ran) return fail(ran.error());
  return {};
}

std::int64_t count(Database& database) {
  auto statement = database.prepare("SELECT count(*) FROM thing").value();
  auto rows = statement.rows().value();
  REQUIRE(rows.next().value());
  return rows.number(0);
}

}  // namespace

TEST_CASE("values come back from a database as they went in", "[db]") {
  const TemporaryDirectory directory;
  const std::string odd = "\xff\0'x"s;
  {
    auto database = Database::open(directory / "a.db", k_schema).value();
    REQUIRE(put(database, odd, -5));
    REQUIRE(put(database, "", INT64_MAX));
    auto null = database.prepare("INSERT INTO thing VALUES ('null', ?)").value();
    CHECK(null.run({nullptr}).value() == 1);
  }
  auto database = Database::open(directory / "a.db", k_schema).value();
  auto statement = database.prepare("SELECT name, size FROM thing ORDER BY rowid").value();
  for (int i = 0; i < 2; ++i) {
    auto rows = statement.rows().value();
    REQUIRE(rows.next().value());
    CHECK(rows.text(0) == odd);
    CHECK(rows.number(1) == -5);
    CHECK_FALSE(rows.is_null(1));
    REQUIRE(rows.next().value());
    CHECK(rows.text(0).empty());
    CHECK(rows.number(1) == INT64_MAX);
    REQUIRE(rows.next().value());
    CHECK(rows.is_null(1));
    CHECK_FALSE(rows.next().value());
  }
}

TEST_CASE("a transaction is made as a whole, or not at all", "[db]") {
  const TemporaryDirectory directory;
  auto database = Database::open(directory / "a.db", k_schema).value();
  {
    auto transaction = Transaction::begin(database);
    REQUIRE(transaction);
    REQUIRE(put(database, "a", 1));
    CHECK(count(database) == 1);
  }
  CHECK(count(database) == 0);
  {
    auto transaction = Transaction::begin(database);
    REQUIRE(transaction);
    REQUIRE(put(database, "a", 1));
    REQUIRE(put(database, "b", 1));
    CHECK(put(database, "a", 1).error().code == Errc::malformed);  // the name is there
    REQUIRE(transaction->commit());
  }
  CHECK(count(database) == 2);
}

TEST_CASE("rows that are not read to their end hold up nobody", "[db]") {
  const TemporaryDirectory directory;
  auto database = Database::open(directory / "a.db", k_schema).value();
  REQUIRE(put(database, "a", 1));
  REQUIRE(put(database, "b", 1));
  auto statement = database.prepare("SELECT name FROM thing").value();
  {
    auto rows = statement.rows().value();
    REQUIRE(rows.next().value());
  }
  auto other = Database::open(directory / "a.db", k_schema).value();
  REQUIRE(put(other, "c", 1));
  CHECK(count(database) == 3);
}

TEST_CASE("a database of another version, another program or no database is malformed", "[db]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "a.db";
  const auto code = [&](const Schema& schema) {
    auto database = Database::open(path, schema);
    return database ? std::optional<Errc>() : std::optional<Errc>(database.error().code);
  };
  CHECK(code(k_schema) == std::nullopt);
  CHECK(code({4, k_schema.sql}) == Errc::malformed);
  CHECK(code({2, k_schema.sql}) == Errc::malformed);
  CHECK(code(k_schema) == std::nullopt);

  REQUIRE(Database::remove(path));
  CHECK_FALSE(std::filesystem::exists(path));
  REQUIRE(Database::remove(path));
  REQUIRE(Database::open(path, {0, ""})->run("CREATE TABLE other(x)"));
  CHECK(code(k_schema) == Errc::malformed);

  test::write_file(path, std::string(8192, 'x'));
  CHECK(code(k_schema) == Errc::malformed);
  test::write_file(path, "");
  CHECK(code(k_schema) == std::nullopt);
  CHECK(Database::open(directory / "none/a.db", k_schema).error().code == Errc::not_found);
  CHECK(Database::open(directory.path(), k_schema).error().code != Errc::malformed);
}

TEST_CASE("what is no regular file is not opened", "[db]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "a.db";
  const auto refused = [&](const char* words) {
    for (const auto how : {0, 1, 2}) {
      const auto opened = how == 0   ? Database::open(path, k_schema)
                          : how == 1 ? Database::open_to_read(path, k_schema)
                                     : Database::open_damaged(path);
      REQUIRE_FALSE(opened);
      CHECK(opened.error().code == Errc::io);
      CHECK(opened.error().text.find(words) != std::string::npos);
    }
    CHECK_FALSE(Database::checkpoint(path));
    std::filesystem::remove(path);
  };
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  refused("no regular file");
  std::filesystem::create_directory(path);
  refused("no regular file");
  std::filesystem::create_symlink(directory / "nowhere", path);
  refused("symbolic link");
  REQUIRE(Database::open(directory / "b.db", k_schema));
  std::filesystem::create_symlink(directory / "b.db", path);
  refused("symbolic link");
  CHECK_FALSE(std::filesystem::exists(directory / "nowhere"));
}

TEST_CASE("a database without room says so, and keeps what it had", "[db]") {
  const TemporaryDirectory directory;
  auto database = Database::open(directory / "a.db", k_schema).value();
  REQUIRE(put(database, "a", 1));
  REQUIRE(database.run("PRAGMA max_page_count = 4"));
  CHECK(put(database, std::string(100'000, 'x'), 1).error().code == Errc::no_space);
  CHECK(count(database) == 1);
}

TEST_CASE("a copy in memory has everything, and is on its own", "[db]") {
  const TemporaryDirectory directory;
  auto database = Database::open(directory / "a.db", k_schema).value();
  REQUIRE(put(database, "a", 1));
  auto copy = database.copy_in_memory();
  REQUIRE(copy);
  CHECK(count(*copy) == 1);
  REQUIRE(put(*copy, "b", 1));
  CHECK(count(*copy) == 2);
  CHECK(count(database) == 1);
  CHECK(copy->copy_in_memory());
}

TEST_CASE("commits make no checkpoints; they are asked for", "[db]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "a.db";
  auto database = Database::open(path, k_schema).value();
  for (int i = 0; !database.wants_checkpoint(); ++i) {
    REQUIRE(i < 2000);
    REQUIRE(put(database, std::to_string(i) + std::string(3000, 'x'), i));
  }
  const auto before = std::filesystem::file_size(path);
  REQUIRE(put(database, "more", 1));
  CHECK(std::filesystem::file_size(path) == before);
  REQUIRE(Database::checkpoint(path));
  CHECK(std::filesystem::file_size(path) > before + 1'000'000);
  REQUIRE(put(database, "the log begins again", 1));
  CHECK_FALSE(database.wants_checkpoint());
}

TEST_CASE("a log is emptied at leisure, so that the next one who opens has none to read", "[db]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "a.db";
  auto database = Database::open(path, k_schema).value();
  for (int i = 0; !database.wants_checkpoint(true); ++i) {
    REQUIRE(i < 2000);
    REQUIRE(put(database, std::to_string(i) + std::string(3000, 'x'), i));
  }
  CHECK_FALSE(database.wants_checkpoint());
  CHECK(std::filesystem::file_size(path + "-wal") > 500'000);
  REQUIRE(Database::empty_log(path));
  CHECK(std::filesystem::file_size(path + "-wal") == 0);
  REQUIRE(put(database, "goes on", 1));
  CHECK_FALSE(database.wants_checkpoint(true));
}

TEST_CASE("several processes make one database, and write into it", "[db]") {
  const TemporaryDirectory directory;
  constexpr int writers = 4;
  constexpr int each = 50;
  for (int writer = 0; writer < writers; ++writer) {
    if (::fork() != 0) continue;
    auto database = Database::open(directory / "a.db", k_schema);
    bool good = database.has_value();
    for (int i = 0; good && i < each; ++i) {
      good = put(*database, std::to_string(writer) + "/" + std::to_string(i), i).has_value();
    }
    ::_exit(good ? 0 : 1);
  }
  for (int i = 0; i < writers; ++i) {
    int status = -1;
    REQUIRE(::wait(&status) > 0);
    CHECK(status == 0);
  }
  auto database = Database::open(directory / "a.db", k_schema).value();
  CHECK(count(database) == writers * each);
}
