#include <array>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <random>

#include "journal/journal.hpp"
#include "queue_stage.hpp"

using namespace odmr;
using namespace odmr::journal;
using test::TemporaryDirectory;

namespace {

const WallTime k_now = WallTime(std::chrono::seconds(1'800'000'000));
const std::string k_digest(32, '\x01');
const std::string k_other(32, '\0');
constexpr Address k_bob{"isp", "<a@example.org>", "bob@customer.example"};

Book new_book() {
  auto book = Book::in_memory();
  REQUIRE(book);
  return std::move(*book);
}

// Entries for these recipients, answered so on that connection.
std::vector<EntryId> had(Book& book, const std::string& connection, Answer answer, std::vector<std::string> recipients,
                         const std::string& digest = k_digest, WallTime when = k_now) {
  auto page = book.begin(false);
  REQUIRE(page);
  const auto ids = page->intend({"isp", "<a@example.org>", std::move(recipients), digest, 100, connection}, when);
  REQUIRE(ids);
  Verdict verdict;
  verdict.connection = connection;
  verdict.answer = answer;
  for (const EntryId id : *ids) verdict.had.push_back({id, Fate::delivered});
  REQUIRE(page->settle(verdict, when));
  REQUIRE(page->commit());
  return *ids;
}

bool may_be_had(Book& book, const Address& address, const std::string& connection) {
  const auto found = book.may_be_had(address, connection);
  REQUIRE(found);
  return *found;
}

std::optional<EntryId> find(Book& book, const std::string& connection, const std::string& digest = k_digest,
                            const std::vector<EntryId>& except = {}) {
  const auto found = book.find(k_bob, digest, connection, except);
  REQUIRE(found);
  return *found;
}

std::size_t count(Book& book) {
  const auto all = book.entries(0, 1000);
  REQUIRE(all);
  return all->size();
}

}  // namespace

TEST_CASE("journal: what was answered 250 matches on another connection, and not on its own", "[journal]") {
  Book book = new_book();
  const auto ids = had(book, "s-1", Answer::accepted, {"bob@customer.example"});
  CHECK_FALSE(may_be_had(book, k_bob, "s-1"));
  CHECK_FALSE(find(book, "s-1"));
  CHECK(may_be_had(book, k_bob, "s-2"));
  CHECK(find(book, "s-2") == ids.front());
  CHECK_FALSE(find(book, "s-2", k_other));
}

TEST_CASE("journal: what was answered 4xx matches on any connection", "[journal]") {
  Book book = new_book();
  const auto ids = had(book, "s-1", Answer::put_off, {"bob@customer.example"});
  CHECK(find(book, "s-1") == ids.front());
  CHECK(find(book, "s-2") == ids.front());
}

TEST_CASE("journal: provider, reverse-path and recipient have to be the same", "[journal]") {
  Book book = new_book();
  had(book, "s-1", Answer::accepted, {"bob@customer.example"});
  CHECK_FALSE(may_be_had(book, {"other", k_bob.reverse_path, k_bob.recipient}, "s-2"));
  CHECK_FALSE(may_be_had(book, {"isp", "<>", k_bob.recipient}, "s-2"));
  CHECK_FALSE(may_be_had(book, {"isp", k_bob.reverse_path, "carol@customer.example"}, "s-2"));
}

TEST_CASE("journal: equal messages are counted, and a match moves its entry", "[journal]") {
  Book book = new_book();
  const auto first = had(book, "s-1", Answer::accepted, {"bob@customer.example"});
  const auto second = had(book, "s-1", Answer::accepted, {"bob@customer.example"});
  const auto found = find(book, "s-2");
  REQUIRE(found == first.front());
  CHECK(find(book, "s-2", k_digest, {*found}) == second.front());
  auto page = book.begin(true);
  REQUIRE(page);
  REQUIRE(page->settle({"s-2", Answer::accepted, {{*found, Fate::delivered}}, {}, {}}, k_now));
  REQUIRE(page->commit());
  CHECK(find(book, "s-2") == second.front());
  CHECK(find(book, "s-3") == first.front());
  CHECK(count(book) == 2);
}

TEST_CASE("journal: answers that were read are forgotten, but for 4xx", "[journal]") {
  Book book = new_book();
  had(book, "s-1", Answer::accepted, {"bob@customer.example", "carol@customer.example"});
  had(book, "s-1", Answer::put_off, {"bob@customer.example"});
  had(book, "s-2", Answer::accepted, {"bob@customer.example"});
  auto page = book.begin(false);
  REQUIRE(page);
  REQUIRE(page->forget_answered("s-1"));
  REQUIRE(page->commit());
  CHECK(count(book) == 2);
}

TEST_CASE("journal: what was intended and came to nothing is gone, and what nobody knows is in doubt", "[journal]") {
  Book book = new_book();
  auto page = book.begin(false);
  REQUIRE(page);
  const auto ids =
      page->intend({"isp", "<>", {"bob@customer.example", "carol@customer.example"}, k_digest, 5, "s-1"}, k_now);
  REQUIRE(ids);
  REQUIRE(page->settle({"s-1", Answer::accepted, {}, {}, {ids->front()}}, k_now));
  REQUIRE(page->commit());
  const auto doubts = book.in_doubt();
  REQUIRE(doubts);
  REQUIRE(doubts->size() == 1);
  CHECK(doubts->front().recipient == "carol@customer.example");
  CHECK(doubts->front().digest == k_digest);
  CHECK_FALSE(may_be_had(book, {"isp", "<>", "carol@customer.example"}, "s-2"));
}

TEST_CASE("journal: a page that is not committed leaves nothing", "[journal]") {
  Book book = new_book();
  {
    auto page = book.begin(false);
    REQUIRE(page);
    REQUIRE(page->intend({"isp", "<>", {"bob@customer.example"}, k_digest, 5, "s-1"}, k_now));
  }
  CHECK(count(book) == 0);
}

namespace {

constexpr auto k_day = std::chrono::hours(24);
constexpr auto k_week = 7 * k_day;

// What is left after a run at that time.
std::size_t left_at(Book& book, WallTime now) {
  auto page = book.begin(false);
  REQUIRE(page);
  REQUIRE(page->forget_older_than(k_week, now));
  REQUIRE(page->commit());
  return count(book);
}

}  // namespace

TEST_CASE("journal: what is older than the window goes", "[journal]") {
  Book book = new_book();
  had(book, "s-1", Answer::accepted, {"old@customer.example"}, k_digest, k_now);
  const auto step = GENERATE(1, 6, 24);  // hours from run to run
  WallTime now = k_now;
  for (; now < k_now + k_day; now += std::chrono::hours(step)) REQUIRE(left_at(book, now) == 1);
  had(book, "s-2", Answer::accepted, {"young@customer.example"}, k_digest, now);
  for (; now <= k_now + k_week; now += std::chrono::hours(step)) REQUIRE(left_at(book, now) == 2);
  for (; now <= k_now + k_day + k_week; now += std::chrono::hours(step)) REQUIRE(left_at(book, now) == 1);
  CHECK(left_at(book, now) == 0);
}

TEST_CASE("journal: a clock that jumps ahead makes nothing go, and one that was ahead keeps nothing for ever",
          "[journal]") {
  Book book = new_book();
  const WallTime in_1970{std::chrono::seconds(40)};
  const bool is_set_back = GENERATE(false, true);
  const WallTime before = is_set_back ? k_now : in_1970;
  const WallTime after = is_set_back ? in_1970 : k_now;
  had(book, "s-1", Answer::put_off, {"bob@customer.example"}, k_digest, before);
  REQUIRE(left_at(book, before) == 1);
  REQUIRE(left_at(book, after) == 1);
  // A day is what a jump ahead may have cost.
  REQUIRE(left_at(book, after + k_day) == 1);
  for (int days = 2; days <= 6; ++days) REQUIRE(left_at(book, after + days * k_day) == 1);
  left_at(book, after + k_week);
  CHECK(left_at(book, after + k_week + std::chrono::hours(1)) == 0);
}

TEST_CASE("journal: a machine that was off for months still knows what it took", "[journal]") {
  Book book = new_book();
  had(book, "s-1", Answer::accepted, {"bob@customer.example"});
  for (int times = 1; times <= 7; ++times) REQUIRE(left_at(book, k_now + times * 60 * k_day) == 1);
  CHECK(left_at(book, k_now + 8 * 60 * k_day) == 0);
}

TEST_CASE("journal: a message offered again is as young as on the first day", "[journal]") {
  Book book = new_book();
  had(book, "s-1", Answer::put_off, {"bob@customer.example"});
  WallTime now = k_now;
  for (int days = 0; days < 6; ++days) REQUIRE(left_at(book, now += k_day) == 1);
  {
    auto page = book.begin(true);
    REQUIRE(page);
    Verdict again;
    again.connection = "s-2";
    again.answer = Answer::put_off;
    again.had.push_back({*find(book, "s-2"), Fate::delivered});
    REQUIRE(page->settle(again, now));
    REQUIRE(page->commit());
  }
  for (int days = 0; days < 7; ++days) REQUIRE(left_at(book, now += k_day) == 1);
  CHECK(left_at(book, now + k_day) == 0);
}

TEST_CASE("journal: it is in its file, and another connection reads it meanwhile", "[journal]") {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/journal.db";
  auto writer = Book::open(path);
  REQUIRE(writer);
  auto reader = Book::open(path);
  REQUIRE(reader);
  had(*writer, "s-1", Answer::accepted, {"bob@customer.example"});
  CHECK(find(*reader, "s-2"));
  auto page = writer->begin(true);
  REQUIRE(page);
  REQUIRE(page->forget_provider("isp"));
  CHECK(find(*reader, "s-2"));
  REQUIRE(page->commit());
  CHECK_FALSE(find(*reader, "s-2"));
}

namespace {

// A page in the middle of a journal that was whole: what a disk does, and opening does not see.
void damage(const std::string& path, const std::string& table) {
  REQUIRE(db::Database::checkpoint(path));
  std::int64_t page = 0;
  {
    auto database = db::Database::open_to_read(path, {6, ""});
    REQUIRE(database);
    auto root = database->prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?");
    REQUIRE(root);
    auto rows = root->rows({table});
    REQUIRE(rows);
    REQUIRE(rows->next().value());
    page = rows->number(0);
  }
  REQUIRE(page > 1);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp((page - 1) * 4096);
  file << std::string(4096, '\xff');
  REQUIRE(file.flush());
}

// A journal in a file, and what it works with.
struct OnDisk {
  OnDisk() { options.path = directory.path() + "/journal.db"; }
  Book book() const {
    auto opened = Book::open(options.path);
    REQUIRE(opened);
    return std::move(*opened);
  }
  auto open() { return Journal::open(options, loop.get_executor(), *worker, clock, log); }

  const TemporaryDirectory directory;
  JournalOptions options;
  asio::io_context loop;
  const std::unique_ptr<net::Worker> worker = net::make_inline_worker();
  test::WallClock clock;
  test::KeptLog log;
};

}  // namespace

TEST_CASE("journal: a damaged one is put aside wherever the damage is, and a new one begun", "[journal]") {
  const std::string table = GENERATE("entry", "entry_address", "entry_connection");
  CAPTURE(table);
  OnDisk disk;
  {
    auto book = disk.book();
    had(book, "s-1", Answer::accepted, {"bob@customer.example", "carol@customer.example"});
  }
  damage(disk.options.path, table);

  {
    const auto journal = disk.open();
    CAPTURE(journal ? std::string() : journal.error().text);
    REQUIRE(journal);
    CHECK_FALSE((*journal)->may_be_had(k_bob, "s-2").value());
  }
  CHECK(disk.log.count("error the journal was damaged, and a new one is begun") == 1);
  CHECK(std::filesystem::exists(disk.options.path + ".damaged-1800000000"));
  CHECK(disk.open());
  CHECK(disk.log.count("error the journal was damaged") == 1);
  // Another one in the same second takes no other's place.
  damage(disk.options.path, "entry");
  CHECK(disk.open());
  CHECK(std::filesystem::exists(disk.options.path + ".damaged-1800000000-2"));
}

TEST_CASE("journal: where receipts are damaged, what may be offered again outlives them", "[journal]") {
  const std::string table =
      GENERATE("session", "session_provider", "session_started", "session_ended", "connection", "total", "flush_ended");
  CAPTURE(table);
  OnDisk disk;
  {
    auto book = disk.book();
    for (int i = 0; i < 1001; ++i) had(book, "s-1", Answer::accepted, {std::to_string(i) + "@customer.example"});
    had(book, "s-1", Answer::put_off, {"bob@customer.example"});
  }
  damage(disk.options.path, table);

  SessionReceipt session;
  session.id = "s";
  session.provider = "isp";
  session.started = k_now;
  session.end.emplace();
  ConnectionReceipt connection;
  connection.session = "s";
  connection.number = 1;
  connection.name = "s-1";
  const auto run = [&] {
    auto journal = disk.open();
    CAPTURE(journal ? std::string() : journal.error().text);
    REQUIRE(journal);
    CHECK((*journal)->may_be_had(k_bob, "s-2").value());
    CHECK((*journal)->find(k_bob, k_digest, "s-2", {}).value() == 1002);
    (*journal)->note(session);
    (*journal)->note(connection);
    asio::co_spawn(disk.loop, (*journal)->flush(), asio::detached);
    disk.loop.restart();
    disk.loop.run();
  };
  run();
  run();
  disk.log.lines.clear();
  run();
  CHECK(disk.log.count("warn") == 0);
  CHECK(disk.log.count("error") == 0);
  auto book = Book::open_to_read(disk.options.path);
  REQUIRE(book);
  CHECK(count(*book) == 1000);  // of 1002: so many are asked for
  CHECK(book->receipts().sessions_named("s", 2).value().size() == 1);
}

TEST_CASE("journal: receipts that nothing leads to be written do not fill the memory", "[journal]") {
  asio::io_context loop;
  const auto disk = net::make_inline_worker();
  test::WallClock clock;
  test::KeptLog log;
  auto journal = Journal::in_memory(loop.get_executor(), *disk, clock, log);
  REQUIRE(journal);
  MessageReceipt refused;
  refused.connection = "s-1";
  refused.reverse_path = std::string(k_longest_text, 'x');
  const auto note = [&](int times) {
    for (int i = 0; i < times; ++i) (*journal)->note(refused);
    asio::co_spawn(loop, (*journal)->flush(), asio::detached);
    loop.restart();
    loop.run();
    return (*journal)->receipts().messages("s-1", 0, 1'000'000).value().size();
  };
  CHECK(note(1000) == 1000);
  CHECK(log.count("warn receipts are lost") == 0);
  const auto kept = note(100'000) - 1000;
  CHECK(kept < 20'000);
  CHECK(kept > 1000);
  CHECK(log.count("warn receipts are lost") == 1);
}

TEST_CASE("journal: for what no open entry is about, the book is not asked", "[journal]") {
  OpenAddresses open;
  CHECK(open.view("isp", "s-2") == nullptr);
  OpenAddresses::View learned("isp", "s-2");
  learned.add(k_bob);
  learned.add({"isp", "<>", "dora@customer.example"});
  OpenAddresses::View& view = open.put(std::move(learned));
  REQUIRE(open.view("isp", "s-2") == &view);
  CHECK(open.view("isp", "s-3") == nullptr);
  CHECK(open.view("other", "s-2") == nullptr);
  CHECK(view.may_have(k_bob));
  CHECK(view.may_have({"isp", "<>", "dora@customer.example"}));
  const Address carol{"isp", "<a@example.org>", "carol@customer.example"};
  CHECK_FALSE(view.may_have(carol));
  CHECK_FALSE(view.may_have({"isp", "<a@example.org", ">bob@customer.example"}));

  SECTION("its own answers of 250 change nothing") {
    open.note({"s-2", Answer::accepted, {{1, Fate::delivered}}, {}, {}});
    open.note({"s-2", Answer::put_off, {}, {}, {2}});
    CHECK_FALSE(view.may_have(carol));
  }
  SECTION("what it put off may be anybody's") {
    open.note({"s-2", Answer::put_off, {{1, Fate::delivered}}, {}, {}});
    CHECK(view.may_have(carol));
  }
  SECTION("so may what another connection was answered, unless it is another provider's") {
    open.put(OpenAddresses::View("other", "t-1"));
    open.note({"t-1", Answer::accepted, {{1, Fate::delivered}}, {}, {}});
    CHECK_FALSE(view.may_have(carol));
    open.put(OpenAddresses::View("isp", "s-3"));
    open.note({"s-3", Answer::accepted, {{1, Fate::delivered}}, {}, {}});
    CHECK(view.may_have(carol));
    CHECK_FALSE(open.view("isp", "s-3")->may_have(carol));
  }
  SECTION("of a connection of which nothing is known, it may be any provider's") {
    open.note({"u-1", Answer::accepted, {{1, Fate::delivered}}, {}, {}});
    CHECK(view.may_have(carol));
  }
  SECTION("of many connections the oldest is forgotten") {
    for (std::size_t i = 0; i < OpenAddresses::k_most_connections; ++i) {
      open.put(OpenAddresses::View("isp", "v-" + std::to_string(i)));
    }
    CHECK(open.view("isp", "s-2") == nullptr);
    CHECK(open.view("isp", "v-0") != nullptr);
  }
}

TEST_CASE("journal: more open entries than are kept in memory may be about anybody", "[journal]") {
  OpenAddresses::View view("isp", "s-1");
  for (std::size_t i = 0; i < OpenAddresses::k_most; ++i) view.add(k_bob);
  CHECK_FALSE(view.may_have({"isp", "<>", "carol@customer.example"}));
  view.add(k_bob);
  CHECK(view.may_have({"isp", "<>", "carol@customer.example"}));
}

// Whatever happens on several connections at once, each may be asked at any time and has to hear what the book says.
TEST_CASE("journal: what is had is the same with and without the book", "[journal]") {
  const TemporaryDirectory directory;
  JournalOptions options;
  options.path = directory.path() + "/journal.db";
  asio::io_context loop;
  const auto disk = net::make_inline_worker();
  test::WallClock clock;
  test::KeptLog log;
  auto journal = Journal::open(options, loop.get_executor(), *disk, clock, log);
  REQUIRE(journal);
  auto book = Book::open(options.path);
  REQUIRE(book);
  std::mt19937 random(20261122);
  const auto one_of = [&random](auto... each) {
    const std::array<std::string, sizeof...(each)> all{each...};
    return all[random() % all.size()];
  };
  int had = 0;
  int not_had = 0;
  for (int round = 0; round < 1500; ++round) {
    const std::string provider = one_of("isp", "isp", "other");
    const std::string connection = provider + "-" + std::to_string(round / 50 + static_cast<int>(random() % 2));
    const std::string sender = one_of("<>", "<a@example.org>", "<b@example.org>");
    const std::vector<std::string> recipients{one_of("bob", "carol", "dora", "eve"), one_of("bob", "carol")};
    for (const auto& recipient : recipients) {
      const Address address{provider, sender, recipient};
      const auto said = (*journal)->may_be_had(address, connection);
      REQUIRE(said);
      REQUIRE(*said == may_be_had(*book, address, connection));
      ++(*said ? had : not_had);
    }
    const Intent intent{provider, sender, recipients, k_digest, 100, connection};
    const auto choice = random() % 8;
    const auto tell = [](Journal& to, Intent what, unsigned long how) -> net::Task<> {
      const auto ids = co_await to.intend(what);
      Verdict verdict;
      verdict.connection = what.connection;
      verdict.answer = how == 0 ? Answer::put_off : Answer::accepted;
      verdict.had.push_back({ids->front(), Fate::delivered});
      verdict.not_had.push_back(ids->back());
      static_cast<void>(co_await to.settle(verdict));
    };
    if (choice < 4) asio::co_spawn(loop, tell(**journal, intent, choice), asio::detached);
    if (choice > 3) (*journal)->answers_read(connection);
    loop.restart();
    loop.run();
  }
  CHECK(had > 100);
  CHECK(not_had > 100);
}

namespace {

const Origin k_origin{"isp", "pop3:bob", "uid1"};

// Its entries; `taken` have it, all others were put off.
std::vector<EntryId> intend_from_mailbox(Book& book, std::vector<std::string> recipients) {
  auto page = book.begin(false);
  REQUIRE(page);
  const auto ids =
      page->intend({"isp", "<a@example.org>", std::move(recipients), k_digest, 100, "s-1", k_origin}, k_now);
  REQUIRE(ids);
  REQUIRE(page->commit());
  return *ids;
}

void settle(Book& book, const Verdict& verdict) {
  auto page = book.begin(true);
  REQUIRE(page);
  REQUIRE(page->settle(verdict, k_now));
  REQUIRE(page->commit());
}

std::vector<std::string> collected_from(Book& book, const Origin& origin) {
  std::vector<std::string> uids;
  REQUIRE(book.each_collected(origin, [&](std::string_view uid) { uids.emplace_back(uid); }));
  return uids;
}

}  // namespace

TEST_CASE("journal: a message from a mailbox is known by its name, and not by its bytes", "[journal]") {
  Book book = new_book();
  const auto ids = intend_from_mailbox(book, {"bob@customer.example", "carol@customer.example"});
  CHECK(book.parts(k_origin)->empty());  // the target has not answered
  Verdict mixed;
  mixed.connection = "s-1";
  mixed.answer = Answer::put_off;
  mixed.had = {{ids.front(), Fate::delivered}};
  mixed.not_had = {ids.back()};
  settle(book, mixed);
  const auto parts = book.parts(k_origin);
  REQUIRE(parts);
  REQUIRE(parts->size() == 1);
  CHECK(parts->front().recipient == "bob@customer.example");
  CHECK(parts->front().id == ids.front());
  CHECK(book.parts({"isp", "pop3:bob", "uid2"})->empty());
  CHECK(book.parts({"isp", "pop3:carol", "uid1"})->empty());
  CHECK_FALSE(may_be_had(book, k_bob, "s-2"));
  CHECK_FALSE(find(book, "s-2"));
  CHECK_FALSE(*book.collected(k_origin));
}

TEST_CASE("journal: once all have it, a message from a mailbox is collected, and its entries go", "[journal]") {
  Book book = new_book();
  const auto ids = intend_from_mailbox(book, {"bob@customer.example"});
  Verdict verdict;
  verdict.connection = "s-1";
  verdict.had = {{ids.front(), Fate::delivered}};
  verdict.collected = k_origin;
  settle(book, verdict);
  CHECK(count(book) == 0);
  REQUIRE(*book.collected(k_origin));
  CHECK(**book.collected(k_origin) == k_now);
  CHECK_FALSE(*book.collected({"other", "pop3:bob", "uid1"}));
  CHECK_FALSE(*book.collected({"isp", "imap:bob/INBOX;1", "uid1"}));
  CHECK(collected_from(book, k_origin) == std::vector<std::string>{"uid1"});
  // It does not grow old: the message is there as long as it likes.
  auto page = book.begin(false);
  REQUIRE(page);
  REQUIRE(page->forget_older_than(std::chrono::hours(1), k_now + std::chrono::hours(100000)));
  REQUIRE(page->commit());
  CHECK(*book.collected(k_origin));
}

TEST_CASE("journal: what is not in the mailbox any more is forgotten when it is said so", "[journal]") {
  Book book = new_book();
  auto page = book.begin(false);
  REQUIRE(page);
  for (const char* uid : {"a", "b", "c"}) REQUIRE(page->remember_collected({"isp", "pop3:bob", uid}, k_now));
  REQUIRE(page->remember_collected({"isp", "pop3:bob", "a"}, k_now));  // again
  REQUIRE(page->forget_collected({"isp", "pop3:bob", "b"}));
  REQUIRE(page->commit());
  CHECK(collected_from(book, k_origin) == std::vector<std::string>{"a", "c"});
}

TEST_CASE("journal: who got a copy of a message from a mailbox is known by its digests, as long as the window",
          "[journal]") {
  Book book = *Book::in_memory();
  const CopyKey key{k_origin, "header", "whole"};
  CHECK_FALSE(*book.has_copies(key));
  Verdict verdict;
  verdict.connection = "c1";
  verdict.copied = Verdict::Copied{key, {"<anna@x>", "<bert@x>"}};
  auto page = book.begin(true);
  REQUIRE(page);
  REQUIRE(page->settle(verdict, k_now));
  REQUIRE(page->settle(verdict, k_now));
  REQUIRE(page->commit());
  CHECK(*book.has_copies(key));
  CHECK(*book.copied_to(key) == std::vector<std::string>{"<anna@x>", "<bert@x>"});
  CHECK(*book.has_copies({k_origin, "header", "other"}));
  CHECK(book.copied_to({k_origin, "header", "other"})->empty());
  CHECK_FALSE(*book.has_copies({k_origin, "other", "whole"}));
  CHECK_FALSE(*book.has_copies({{"isp", "pop3:somebody", ""}, "header", "whole"}));
  for (int i = 1; i <= 8; ++i) {
    CHECK(*book.has_copies(key));
    auto older = book.begin(true);
    REQUIRE(older);
    REQUIRE(older->forget_older_than(std::chrono::hours(24 * 7), k_now + std::chrono::hours(24 * 30 * i)));
    REQUIRE(older->commit());
  }
  CHECK_FALSE(*book.has_copies(key));
}
