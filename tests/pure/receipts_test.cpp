#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "journal/book.hpp"
#include "temporary_directory.hpp"

using namespace odmr;
using namespace odmr::journal;
using test::TemporaryDirectory;

namespace {

using By = RecipientReceipt::By;

const WallTime k_now = WallTime(std::chrono::seconds(1'800'000'000));

// What this program made before there were receipts, to the letter.
constexpr const char* k_version_1 = R"(
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
    time INTEGER NOT NULL) STRICT;
  CREATE INDEX entry_address ON entry(provider, recipient, reverse_path);
  CREATE INDEX entry_connection ON entry(connection);
)";

void make_version_1(const std::string& path) {
  auto database = db::Database::open(path, {1, k_version_1});
  REQUIRE(database);
  REQUIRE(
      database->run("INSERT INTO entry VALUES (7, 'isp', 'a@example.org', 'bob@customer.example', zeroblob(32), "
                    "100, 's-1', 1, 0, 1800000000000000)"));
}

SessionReceipt session(const std::string& id, const std::string& provider, WallTime started,
                       std::optional<Outcome> outcome = Outcome::fetched) {
  SessionReceipt receipt{id, provider, started, std::nullopt};
  if (!outcome) return receipt;
  receipt.end.emplace();
  receipt.end->time = started + std::chrono::seconds(2);
  receipt.end->outcome = *outcome;
  receipt.end->messages = 3;
  return receipt;
}

ConnectionReceipt connection(const std::string& session, std::uint64_t number) {
  ConnectionReceipt receipt;
  receipt.session = session;
  receipt.number = number;
  receipt.name = session + "-" + std::to_string(number);
  receipt.started = k_now;
  return receipt;
}

MessageReceipt message(const std::string& connection, const std::string& id, std::size_t recipients) {
  MessageReceipt receipt;
  receipt.connection = connection;
  receipt.id = id;
  receipt.reverse_path = "a@example.org";
  receipt.time = k_now;
  for (std::size_t i = 0; i < recipients; ++i) {
    receipt.recipients.push_back({"r" + std::to_string(i) + "@customer.example", By::target, "250 2.0.0 kept"});
  }
  return receipt;
}

// The tables with other limits than Book's.
struct Shelf {
  explicit Shelf(const ReceiptLimits& limits) {
    auto made = db::Database::in_memory({1, ReceiptBook::tables()});
    REQUIRE(made);
    database.emplace(std::move(*made));
    auto over = ReceiptBook::over(*database, limits);
    REQUIRE(over);
    book.emplace(std::move(*over));
  }
  void keep(const std::vector<Receipt>& receipts) {
    auto transaction = db::Transaction::begin(*database);
    REQUIRE(transaction);
    REQUIRE(book->keep(receipts));
    REQUIRE(transaction->commit());
  }
  std::int64_t count(const std::string& table) {
    auto statement = database->prepare("SELECT count(*) FROM " + table).value();
    auto rows = statement.rows().value();
    REQUIRE(rows.next().value());
    return rows.number(0);
  }
  std::optional<db::Database> database;
  std::optional<ReceiptBook> book;
};

std::vector<std::string> ids(const Result<std::vector<SessionReceipt>>& sessions) {
  REQUIRE(sessions);
  std::vector<std::string> found;
  for (const auto& one : *sessions) found.push_back(one.id);
  return found;
}

void keep(Book& book, const std::vector<Receipt>& receipts) {
  auto page = book.begin(false);
  REQUIRE(page);
  REQUIRE(page->keep(receipts));
  REQUIRE(page->commit());
}

std::uint64_t total(Book& book, const std::string& provider, const std::string& of, const std::string& outcome = {}) {
  const auto totals = book.receipts().totals();
  REQUIRE(totals);
  for (const auto& one : *totals) {
    if (one.provider == provider && one.of == of && one.outcome == outcome) return one.count;
  }
  return 0;
}

}  // namespace

TEST_CASE("a journal of version 1 becomes one of today, with all its entries", "[receipts]") {
  const TemporaryDirectory directory;
  make_version_1(directory / "journal.db");
  auto book = Book::open(directory / "journal.db");
  REQUIRE(book);
  const auto entry = book->entry(7);
  REQUIRE(entry);
  REQUIRE(*entry);
  CHECK((*entry)->recipient == "bob@customer.example");
  // It is as old as its time says, and no jump of the clock to today makes it go.
  auto page = book->begin(true);
  REQUIRE(page);
  CHECK(page->forget_older_than(std::chrono::hours(7 * 24), k_now + std::chrono::hours(90 * 24)).value() == 0);
  REQUIRE(page->commit());
  keep(*book, {session("aa", "isp", k_now)});
  CHECK(ids(Book::open(directory / "journal.db")->receipts().last_sessions()) == std::vector<std::string>{"aa"});
}

TEST_CASE("a journal of version 2 becomes one of today, with all its receipts", "[receipts]") {
  const TemporaryDirectory directory;
  {
    const std::string sql = std::string(k_version_1) + "ALTER TABLE entry ADD COLUMN kept TEXT NOT NULL DEFAULT '';" +
                            ReceiptBook::tables_of_version_2();
    auto database = db::Database::open(directory / "journal.db", {2, sql.c_str()});
    REQUIRE(database);
    REQUIRE(
        database->run("INSERT INTO session(id, provider, started, ended, outcome, text, connections, messages, "
                      "recipients, bytes, rejected, deferred, duplicates) "
                      "VALUES ('aa', 'isp', 1, 2, 'auth', 'no', 1, 0, 0, 0, 0, 0, 0)"));
  }
  auto book = Book::open(directory / "journal.db");
  REQUIRE(book);
  const auto answers = book->receipts().answers_of("isp", 10);
  CHECK(ids(answers) == std::vector<std::string>{"aa"});
  CHECK(answers->front().end->fingerprint.empty());
  CHECK(answers->front().end->cause == Cause::unknown);
  // What was before counts.
  CHECK(total(*book, "isp", "sessions", "auth") == 1);
  CHECK(total(*book, "isp", "messages") == 0);
}

TEST_CASE("what sessions and flushes came to is summed up, and outlives their receipts", "[receipts]") {
  auto book = Book::in_memory();
  REQUIRE(book);
  auto one = session("aa", "isp", k_now, Outcome::fetched);
  one.end->messages = 3;
  one.end->bytes = 700;
  keep(*book, {session("aa", "isp", k_now, std::nullopt), one, one});  // told twice, it counts once
  auto other = session("bb", "isp", k_now, Outcome::fetched);
  other.end->messages = 2;
  FlushReceipt flush;
  flush.id = "cc";
  flush.started = flush.ended = k_now;
  flush.messages = 5;
  flush.bounced = 1;
  keep(*book, {other, flush, flush});
  auto page = book->begin(false);
  REQUIRE(page);
  for (auto more = page->forget_receipts(k_now + std::chrono::hours(1)); more && *more;)
    more = page->forget_receipts(k_now + std::chrono::hours(1));
  REQUIRE(page->commit());
  REQUIRE(book->receipts().last_sessions()->empty());
  REQUIRE_FALSE(*book->receipts().last_flush());

  CHECK(total(*book, "isp", "sessions", "fetched") == 2);
  CHECK(total(*book, "isp", "messages") == 5);
  CHECK(total(*book, "isp", "bytes") == 700);
  CHECK(total(*book, "", "sessions", "sent") == 1);
  CHECK(total(*book, "", "messages") == 5);
  CHECK(total(*book, "", "bounced") == 1);
}

TEST_CASE("what came in is known by days that end now", "[receipts]") {
  using std::chrono::hours;
  auto book = Book::in_memory();
  REQUIRE(book);
  const auto came = [&](const char* id, const char* provider, WallTime when, std::uint64_t messages) {
    auto one = session(id, provider, when, Outcome::fetched);
    one.end->messages = messages;
    one.end->time = when;
    one.end->bytes = messages * 10;
    keep(*book, {one});
  };
  came("now", "isp", k_now, 1);
  came("today", "isp", k_now - hours(23), 2);
  came("yesterday", "isp", k_now - hours(24), 4);
  came("nothing", "isp", k_now - hours(25), 0);
  came("last", "isp", k_now - hours(30 * 24) + hours(1), 8);
  came("too old", "isp", k_now - hours(30 * 24), 16);
  came("not yet", "isp", k_now + hours(1), 32);
  came("another's", "other", k_now, 64);
  const auto days = book->receipts().received("isp", k_now, 30);
  REQUIRE(days);
  REQUIRE(days->size() == 3);
  CHECK(((*days)[0].ago == 0 && (*days)[0].messages == 3 && (*days)[0].bytes == 30));
  CHECK(((*days)[1].ago == 1 && (*days)[1].messages == 4));
  CHECK(((*days)[2].ago == 29 && (*days)[2].messages == 8));
}

TEST_CASE("the last certificate that was shown is known, whatever came after it", "[receipts]") {
  auto book = Book::in_memory();
  REQUIRE(book);
  CHECK_FALSE(*book->receipts().last_certificate("isp"));
  const auto until = k_now + std::chrono::hours(100);
  ConnectionReceipt connection;
  connection.session = "aa";
  connection.number = 1;
  connection.verified = "pin";
  connection.certificate_until = until;
  ConnectionReceipt not_made;
  not_made.session = "bb";
  not_made.number = 1;
  FlushReceipt flush;
  flush.id = "cc";
  flush.certificate_until = until;
  FlushReceipt nowhere;
  nowhere.id = "dd";
  keep(*book, {session("aa", "isp", k_now), connection, session("bb", "isp", k_now), not_made, flush, nowhere});
  const auto known = book->receipts().last_certificate("isp");
  REQUIRE((known && *known));
  CHECK((*known)->session == "aa");
  CHECK((*known)->certificate_until == until);
  CHECK_FALSE(*book->receipts().last_certificate("other"));
  CHECK((*book->receipts().last_flush())->id == "dd");
  CHECK((*book->receipts().last_flush_with_certificate())->id == "cc");
}

TEST_CASE("a provider's answers are those that took us or refused us, the last one first", "[receipts]") {
  auto book = Book::in_memory();
  REQUIRE(book);
  for (int i = 0; i <= static_cast<int>(Outcome::bug); ++i) {
    auto one = session(std::string(name(static_cast<Outcome>(i))), "isp", k_now, static_cast<Outcome>(i));
    one.end->fingerprint = "print of " + one.id;
    keep(*book, {one});
  }
  keep(*book, {session("other", "other", k_now, Outcome::auth), session("under way", "isp", k_now, std::nullopt)});
  const auto answers = book->receipts().answers_of("isp", 10);
  CHECK(ids(answers) == std::vector<std::string>{"refused", "auth", "deferred", "fetched", "no-mail"});
  CHECK(answers->front().end->fingerprint == "print of refused");
  CHECK(ids(book->receipts().answers_of("isp", 2)) == std::vector<std::string>{"refused", "auth"});
  CHECK(ids(book->receipts().last_sessions()).size() == 2);
}

TEST_CASE("who only looks at a journal of version 1 leaves it as it is", "[receipts]") {
  const TemporaryDirectory directory;
  make_version_1(directory / "journal.db");
  auto book = Book::open_to_read(directory / "journal.db");
  REQUIRE(book);
  CHECK(book->entries(0, 10)->size() == 1);
  CHECK(book->receipts().last_sessions()->empty());
  CHECK(db::Database::open(directory / "journal.db", {1, k_version_1}));
}

TEST_CASE("a journal is read while it is written, and where nobody may write", "[receipts]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "journal.db";
  {
    auto writer = Book::open(path);
    REQUIRE(writer);
    keep(*writer, {session("aa", "isp", k_now)});
    auto page = writer->begin(true);
    REQUIRE(page);
    REQUIRE(page->keep({session("bb", "isp", k_now)}));
    auto reader = Book::open_to_read(path);
    REQUIRE(reader);
    CHECK(ids(reader->receipts().last_sessions()) == std::vector<std::string>{"aa"});
    REQUIRE(page->commit());
    CHECK(ids(reader->receipts().last_sessions()) == std::vector<std::string>{"bb"});
    auto none = reader->begin(false);
    CHECK((!none || none->forget_all().error().code == Errc::denied));
  }
  CHECK_FALSE(std::filesystem::exists(path + "-wal"));
  CHECK(ids(Book::open_to_read(path)->receipts().last_sessions()) == std::vector<std::string>{"bb"});
}

TEST_CASE("a journal that is missing, damaged or newer says so", "[receipts]") {
  const TemporaryDirectory directory;
  const auto code_of = [&](const char* name) {
    const auto book = Book::open_to_read(directory / name);
    REQUIRE_FALSE(book);
    return book.error().code;
  };
  CHECK(code_of("none.db") == Errc::not_found);
  CHECK_FALSE(std::filesystem::exists(directory / "none.db"));
  std::ofstream(directory / "damaged.db") << std::string(8192, 'x');
  CHECK(code_of("damaged.db") == Errc::malformed);
  REQUIRE(db::Database::open(directory / "newer.db", {1000, "CREATE TABLE thing(x)"}));
  CHECK(code_of("newer.db") == Errc::denied);
  REQUIRE(db::Database::open(directory / "other.db", {4, "CREATE TABLE thing(x)"}));
  CHECK(code_of("other.db") == Errc::malformed);
}

TEST_CASE("what was noted comes back as it was, a stranger's bytes too", "[receipts]") {
  Shelf shelf({});
  auto odd = message("aa-1", "aa-1.1", 1);
  odd.reverse_path = std::string("x\0\xff\x1b[2J", 7);
  odd.digest = std::string(32, '\0');
  odd.size = 12345;
  odd.fate = MessageReceipt::Fate::put_off;
  odd.recipients.front().by = By::guard;
  auto line = connection("aa", 1);
  line.ended = k_now + std::chrono::seconds(1);
  line.verified = "chain and pin";
  line.how = "QUIT";
  shelf.keep({session("aa", "isp", k_now, std::nullopt), connection("aa", 1), odd, line});
  const auto sessions = shelf.book->sessions_named("aa", 2);
  REQUIRE(sessions);
  REQUIRE(sessions->size() == 1);
  CHECK_FALSE(sessions->front().end);
  CHECK(sessions->front().started == k_now);
  const auto connections = shelf.book->connections("aa", 0, 10);
  REQUIRE(connections);
  REQUIRE(connections->size() == 1);
  CHECK(connections->front().verified == "chain and pin");
  CHECK(connections->front().ended == line.ended);
  const auto lines = shelf.book->messages("aa-1", 0, 10);
  REQUIRE(lines);
  REQUIRE(lines->size() == 1);
  CHECK(lines->front().message.reverse_path == odd.reverse_path);
  CHECK(lines->front().message.digest == odd.digest);
  CHECK(lines->front().message.size == 12345);
  CHECK(lines->front().message.fate == odd.fate);
  CHECK(lines->front().message.recipients.front().by == By::guard);

  shelf.keep({session("aa", "isp", k_now, Outcome::state)});
  CHECK(shelf.book->sessions_named("aa", 2)->front().end->outcome == Outcome::state);
}

TEST_CASE("texts of strangers are cut, and refused recipients beyond some are counted", "[receipts]") {
  const std::string endless(100'000, 'x');
  auto receipt = message("aa-1", "aa-1.1", 1);
  receipt.reverse_path = receipt.reply = receipt.recipients.front().reply = endless;
  for (int i = 0; i < 1000; ++i) receipt.add_refused(endless, By::guard, endless);
  CHECK(receipt.recipients.size() == 1 + MessageReceipt::k_most_refused);
  CHECK(receipt.unlisted == 1000 - MessageReceipt::k_most_refused);
  Receipt any = receipt;
  trim_texts(any);
  CHECK(weight(any) < 64 * 1024);
  const auto& cut = std::get<MessageReceipt>(any);
  for (const auto& text : {cut.reverse_path, cut.reply, cut.recipients.front().reply, cut.recipients.back().address}) {
    CHECK(text.size() == k_longest_text);
  }
}

TEST_CASE("the newest sessions, connections, messages and recipients are kept, and no more", "[receipts]") {
  const ReceiptLimits limits{10, 15, 20, 50};
  Shelf shelf(limits);
  for (int i = 0; i < 100; ++i) {
    const std::string id = "s" + std::to_string(1000 + i);
    shelf.keep({session(id, "isp", k_now), connection(id, 1), connection(id, 2), message(id + "-1", id + "-1.1", 1),
                message(id + "-2", id + "-2.1", static_cast<std::size_t>(i % 7))});
    CHECK(shelf.count("session") <= limits.sessions);
    CHECK(shelf.count("connection") <= limits.connections);
    CHECK(shelf.count("message") <= limits.messages);
    CHECK(shelf.count("recipient") <= limits.recipients);
  }
  CHECK(ids(shelf.book->last_sessions()) == std::vector<std::string>{"s1099"});
  CHECK(shelf.book->messages("s1099-2", 0, 10)->front().message.recipients.size() == 1);
  // One alone that is larger than all there may be stays.
  shelf.keep({message("s1099-2", "s1099-2.2", 60)});
  CHECK(shelf.count("message") == 1);
  CHECK(shelf.count("recipient") == 60);
}

TEST_CASE("receipts that are older than wanted go piece by piece, with all that belongs to them", "[receipts]") {
  Shelf shelf({});
  const auto day = std::chrono::hours(24);
  std::vector<Receipt> receipts{session("old", "isp", k_now - 100 * day), connection("old", 1)};
  for (int i = 0; i < 2500; ++i) receipts.emplace_back(message("old-1", "old-1." + std::to_string(i), 1));
  receipts.emplace_back(session("young", "isp", k_now - 80 * day));
  receipts.emplace_back(connection("young", 1));
  receipts.emplace_back(message("young-1", "young-1.1", 1));
  shelf.keep(receipts);
  int pieces = 0;
  for (bool goes_on = true; goes_on; ++pieces) {
    const auto before = shelf.count("message");
    const auto dropped = shelf.book->forget_piece(k_now - 90 * day);
    REQUIRE(dropped);
    CHECK(before - shelf.count("message") <= 1000);
    goes_on = *dropped;
  }
  CHECK(pieces == 4);
  CHECK(shelf.count("session") == 1);
  CHECK(shelf.count("connection") == 1);
  CHECK(shelf.count("message") == 1);
  CHECK(shelf.count("recipient") == 1);
}

TEST_CASE("receipts are written all or none, and what else the transaction does stands", "[receipts]") {
  auto made = db::Database::in_memory({1, ReceiptBook::tables()});
  REQUIRE(made);
  REQUIRE(
      made->run("CREATE TABLE other(x); CREATE TRIGGER trouble BEFORE INSERT ON recipient "
                "WHEN NEW.address = 'r2@customer.example' BEGIN SELECT raise(FAIL, 'trouble'); END"));
  auto book = ReceiptBook::over(*made);
  REQUIRE(book);
  {
    auto transaction = db::Transaction::begin(*made);
    REQUIRE(transaction);
    REQUIRE(made->run("INSERT INTO other VALUES (1)"));
    CHECK_FALSE(book->keep({session("aa", "isp", k_now), message("aa-1", "aa-1.1", 3)}));
    CHECK(book->keep({session("bb", "isp", k_now)}));
    REQUIRE(transaction->commit());
  }
  CHECK(ids(book->sessions_named("", 10)) == std::vector<std::string>{"bb"});
  CHECK(book->messages("aa-1", 0, 10)->empty());
  auto statement = made->prepare("SELECT x FROM other").value();
  CHECK(statement.rows()->next().value());
}

TEST_CASE("a session is found by the beginning of its id", "[receipts]") {
  Shelf shelf({});
  shelf.keep({session("5f0c1e9ab27d", "isp", k_now), session("5f0c1e000000", "isp", k_now),
              session("9d3a51c07e42", "isp", k_now)});
  CHECK(ids(shelf.book->sessions_named("9", 2)) == std::vector<std::string>{"9d3a51c07e42"});
  CHECK(ids(shelf.book->sessions_named("5f0c1e9ab27d", 2)) == std::vector<std::string>{"5f0c1e9ab27d"});
  CHECK(ids(shelf.book->sessions_named("5f0c1e", 2)).size() == 2);
  CHECK(ids(shelf.book->sessions_named("5f0c1f", 2)).empty());
  CHECK(ids(shelf.book->sessions_named("%", 2)).empty());
}

TEST_CASE("the last session and the last good one of each provider", "[receipts]") {
  Shelf shelf({});
  shelf.keep({session("a1", "isp", k_now), session("a2", "isp", k_now, Outcome::tls),
              session("b1", "other", k_now, Outcome::deferred), session("a3", "isp", k_now, std::nullopt)});
  CHECK(ids(shelf.book->last_sessions()) == std::vector<std::string>{"a3", "b1"});
  CHECK((*shelf.book->last_good("isp"))->id == "a1");
  CHECK_FALSE(*shelf.book->last_good("other"));
  CHECK(shelf.book->sessions_of("isp") == 3);
}
