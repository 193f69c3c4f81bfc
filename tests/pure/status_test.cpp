#include <catch2/catch.hpp>
#include <filesystem>

#include "app/journal_place.hpp"
#include "app/journal_work.hpp"
#include "app/status.hpp"
#include "spool/lock.hpp"
#include "temporary_directory.hpp"

using namespace odmr;
using namespace odmr::journal;
using test::TemporaryDirectory;

namespace {

const WallTime k_now = WallTime(std::chrono::seconds(1'800'000'000));

SessionReceipt ended(const std::string& id, const std::string& provider, WallTime when, Outcome outcome) {
  SessionReceipt session{id, provider, when, std::nullopt};
  session.end.emplace();
  session.end->time = when;
  session.end->outcome = outcome;
  return session;
}

void put(Book& book, const std::vector<Receipt>& receipts) {
  auto page = book.begin(false);
  REQUIRE(page);
  REQUIRE(page->keep(receipts));
  REQUIRE(page->commit());
}

// `count` entries, one a recipient.
void put_entries(const std::string& state_dir, const std::string& provider, int count) {
  auto book = Book::open(app::journal_in(state_dir));
  REQUIRE(book);
  auto page = book->begin(false);
  REQUIRE(page);
  Intent intent{provider, "a@example.org", {}, std::string(32, 'x'), 100, "s-1"};
  for (int i = 0; i < count; ++i) intent.recipients.push_back(std::to_string(i) + "@customer.example");
  REQUIRE(page->intend(intent, k_now));
  REQUIRE(page->commit());
}

std::vector<EntryId> entries(const std::string& state_dir, const std::string& provider = {}) {
  auto book = app::look_into_journal(state_dir);
  REQUIRE(book);
  REQUIRE(*book);
  std::vector<EntryId> ids;
  REQUIRE(app::list_entries(**book, provider, [&](const Entry& entry) { ids.push_back(entry.id); }));
  return ids;
}

}  // namespace

TEST_CASE("status: the configured providers in their order, then those of the journal alone", "[status]") {
  auto book = Book::in_memory();
  REQUIRE(book);
  const auto hour = std::chrono::hours(1);
  put(*book, {ended("a1", "isp", k_now - 5 * hour, Outcome::no_mail), ended("a2", "isp", k_now, Outcome::tls),
              ended("g1", "gone", k_now - 100 * hour, Outcome::fetched),
              ended("b1", "other", k_now - hour, Outcome::fetched)});
  const auto all = app::providers_in(&*book, {"other", "isp", "new"}, k_now);
  REQUIRE(all);
  REQUIRE(all->size() == 4);
  CHECK((*all)[0].provider == "other");
  CHECK((*all)[1].provider == "isp");
  CHECK((*all)[1].last->id == "a2");
  CHECK((*all)[1].last_good->id == "a1");
  CHECK((*all)[1].sessions == 2);
  CHECK_FALSE((*all)[2].last);
  CHECK((*all)[3].provider == "gone");
  CHECK_FALSE((*all)[3].is_configured);

  CHECK_FALSE(app::is_older_than((*all)[0], 2 * hour, k_now));
  CHECK(app::is_older_than((*all)[1], 2 * hour, k_now));  // one that ended badly does not count
  CHECK_FALSE(app::is_older_than((*all)[1], 6 * hour, k_now));
  CHECK(app::is_older_than((*all)[2], 6 * hour, k_now));
  CHECK_FALSE(app::is_older_than((*all)[3], 6 * hour, k_now));  // nobody waits for it any more
}

TEST_CASE("status: a good session from the future is of no known age", "[status]") {
  app::ProviderStatus status;
  status.provider = "isp";
  status.is_configured = true;
  const auto is_late = [&](WallTime when) {
    status.last = status.last_good = ended("a1", "isp", when, Outcome::no_mail);
    return app::is_older_than(status, std::chrono::hours(2), k_now);
  };
  CHECK_FALSE(is_late(k_now + std::chrono::minutes(5)));
  CHECK(is_late(k_now + std::chrono::minutes(6)));
  CHECK(is_late(k_now + std::chrono::hours(24 * 3650)));
  app::Status all;
  all.providers.push_back(status);
  const auto troubles = app::troubles_of(all, {}, k_now);
  REQUIRE_FALSE(troubles.empty());
  CHECK(troubles.front().text.find("in the future") != std::string::npos);
  all.providers.front().last_good = ended("a1", "isp", k_now + std::chrono::minutes(5), Outcome::no_mail);
  for (const auto& one : app::troubles_of(all, {}, k_now)) CHECK(one.with != "isp");
}

TEST_CASE("status: what advice has to name is read, also of a configuration with faults", "[status]") {
  const TemporaryDirectory directory;
  const std::string file = directory / "odmr.toml";
  test::write_file(file, "state_dir = \"" + directory.path() + "\"\n[provider.plain]\n[provider.key]\nport = 587\n" +
                             "[provider.host]\nport = 587\nhost = [\"a.example.net:386\", \"b.example.net\"]\n" +
                             "[provider.own]\nprot = 1\n[provider.own.deliver]\nto = \"smtp://127.0.0.1\"\n");
  const auto place = app::find_queue(file);
  REQUIRE(place);
  CHECK(place->places.at("plain").port == 366);
  CHECK(place->places.at("key").port == 587);
  CHECK(place->places.at("host").port == 386);
  CHECK(place->places.at("host").deliver_table == "[deliver]");
  CHECK(place->places.at("own").deliver_table == "[provider.own.deliver]");
}

TEST_CASE("status: without a journal there was no session", "[status]") {
  const auto all = app::providers_in(nullptr, {"isp"}, k_now);
  REQUIRE(all);
  REQUIRE(all->size() == 1);
  CHECK(app::is_older_than(all->front(), std::chrono::hours(1), k_now));
}

TEST_CASE("status: a session is meant by its id, the beginning of it, or one of its messages", "[status]") {
  auto book = Book::in_memory();
  REQUIRE(book);
  put(*book, {ended("5f0c1e9ab27d", "isp", k_now, Outcome::fetched)});
  for (const char* id : {"5f0c1e9ab27d", "5f", "5f0c1e9ab27d-2", "5f0c1e9ab27d-2.17"}) {
    CHECK(app::sessions_meant(*book, id)->size() == 1);
  }
  CHECK(app::sessions_meant(*book, "6")->empty());
}

TEST_CASE("journal: all entries are listed, however many pieces that takes", "[status]") {
  const TemporaryDirectory directory;
  put_entries(directory.path(), "isp", 1200);
  put_entries(directory.path(), "other", 3);
  CHECK(entries(directory.path()).size() == 1203);
  CHECK(entries(directory.path(), "other").size() == 3);
}

TEST_CASE("journal: entries are forgotten by id, by provider, or all", "[status]") {
  const TemporaryDirectory directory;
  put_entries(directory.path(), "isp", 3);
  put_entries(directory.path(), "other", 2);
  auto done = app::forget_entries(directory.path(), {false, {}, {1, 99, 3}});
  REQUIRE(done);
  CHECK(done->entries == 2);
  CHECK(done->unknown == std::vector<EntryId>{99});
  CHECK(entries(directory.path()) == std::vector<EntryId>{2, 4, 5});
  CHECK(app::forget_entries(directory.path(), {false, "other", {}})->entries == 2);
  CHECK(entries(directory.path()) == std::vector<EntryId>{2});
  CHECK(app::forget_entries(directory.path(), {true, {}, {}})->entries == 1);
  CHECK(entries(directory.path()).empty());
}

TEST_CASE("journal: nothing is forgotten while a run works, nor made where nothing is", "[status]") {
  const TemporaryDirectory directory;
  auto done = app::forget_entries(directory.path(), {true, {}, {}});
  REQUIRE_FALSE(done);
  CHECK(done.error().code == Errc::not_found);
  CHECK(std::filesystem::is_empty(directory.path()));
  put_entries(directory.path(), "isp", 3);
  const auto lock = spool::DirectoryLock::take(directory.path());
  REQUIRE(lock);
  done = app::forget_entries(directory.path(), {true, {}, {}});
  REQUIRE_FALSE(done);
  CHECK(done.error().code == Errc::busy);
  CHECK(entries(directory.path()).size() == 3);
}
