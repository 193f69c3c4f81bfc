// What odmrd writes down of its customers' calls.

#include <catch2/catch.hpp>
#include <filesystem>

#include "provider/call_book.hpp"
#include "temporary_directory.hpp"

using namespace odmr;
using namespace odmr::provider;
using test::TemporaryDirectory;
using Kind = CallEvent::Kind;

namespace {

const WallTime k_now = WallTime(std::chrono::seconds(1'800'000'000));

Call call(std::uint64_t number, const std::string& customer, Duration after = {}) {
  Call one;
  one.number = number;
  one.customer = customer;
  one.address = "192.0.2.7:4711";
  one.began = k_now + std::chrono::duration_cast<WallTime::duration>(after);
  one.ended = one.began + std::chrono::seconds(3);
  return one;
}

CallEvent begun(const Call& one) {
  return {Kind::call, one, {}, one.began};
}

CallEvent over(Call one, bool is_good, std::uint64_t messages = 0) {
  one.reply = is_good ? "453 4.0.0 you have no mail" : "450 4.7.1 not from this address";
  one.is_good = is_good;
  one.messages = messages;
  one.recipients = messages * 2;
  one.bytes = messages * 1000;
  one.put_off = 1;
  return {Kind::over, one, {}, one.ended};
}

CallEvent refused(const std::string& address, WallTime time = k_now) {
  return {Kind::refused_login, {}, address, time};
}

std::uint64_t total(CallBook& book, const std::string& customer, const std::string& of) {
  const auto totals = book.totals();
  REQUIRE(totals);
  for (const auto& one : *totals) {
    if (one.customer == customer && one.of == of) return one.count;
  }
  return 0;
}

}  // namespace

TEST_CASE("calls: what is under way, and what it came to", "[calls]") {
  const TemporaryDirectory directory;
  auto book = CallBook::open(directory.path());
  REQUIRE(book);
  auto waiting = call(1, "one");
  waiting.is_waiting = true;
  REQUIRE(book->note({begun(call(1, "one")), begun(waiting), begun(call(2, "two"))}));
  const auto lines = book->under_way();
  REQUIRE(lines);
  REQUIRE(lines->size() == 2);
  CHECK(lines->front().customer == "one");
  CHECK(lines->front().is_waiting);
  CHECK(lines->front().began == k_now);
  CHECK_FALSE(lines->back().is_waiting);

  REQUIRE(book->note({over(call(1, "one"), true, 3), over(call(2, "two"), false)}));
  CHECK(book->under_way()->empty());
  const auto last = book->last_calls();
  REQUIRE(last->size() == 2);
  const Call& one = last->at("one");
  CHECK(one.reply == "453 4.0.0 you have no mail");
  CHECK(one.messages == 3);
  CHECK(one.recipients == 6);
  CHECK(one.bytes == 3000);
  CHECK(one.put_off == 1);
  CHECK(one.ended == k_now + std::chrono::seconds(3));
  CHECK(one.is_good);
  CHECK_FALSE(last->at("two").is_good);
  CHECK(book->last_good()->size() == 1);
  CHECK(book->last_good()->at("one") == one.ended);
  CHECK(book->newest(10)->front().customer == "two");
  CHECK(book->newest(1)->size() == 1);
  CHECK(total(*book, "one", "calls") == 1);
  CHECK(total(*book, "one", "good") == 1);
  CHECK(total(*book, "two", "good") == 0);
  CHECK(total(*book, "one", "bytes") == 3000);
}

TEST_CASE("calls: days are summed up, of all customers", "[calls]") {
  const TemporaryDirectory directory;
  auto book = CallBook::open(directory.path());
  const auto ago = [](int days) { return std::chrono::hours(-24 * days); };
  REQUIRE(book->note({over(call(1, "one", ago(40)), true, 9), over(call(2, "one", ago(2)), true, 1),
                      over(call(3, "two", ago(2)), true, 2), over(call(4, "two"), false)}));
  const auto days = book->days(k_now, 30);
  REQUIRE(days);
  REQUIRE(days->size() == 2);
  CHECK(days->front().ago == 0);
  CHECK(days->front().calls == 1);
  CHECK(days->front().messages == 0);
  CHECK(days->back().ago == 2);
  CHECK(days->back().calls == 2);
  CHECK(days->back().messages == 3);
  CHECK(days->back().bytes == 3000);
}

TEST_CASE("calls: refused logins are counted by address, and forgotten after a week", "[calls]") {
  const TemporaryDirectory directory;
  auto book = CallBook::open(directory.path());
  const auto later = k_now + std::chrono::hours(1);
  REQUIRE(book->note({refused("192.0.2.1"), refused("192.0.2.2"), refused("192.0.2.1", later), refused("")}));
  const auto seen = book->refused_logins(k_now, 10);
  REQUIRE(seen);
  REQUIRE(seen->size() == 2);
  CHECK(seen->front().address == "192.0.2.1");
  CHECK(seen->front().count == 2);
  CHECK(seen->front().first == k_now);
  CHECK(seen->front().last == later);
  CHECK(book->refused_logins(later, 10)->size() == 1);
  CHECK(total(*book, "", "refused_logins") == 4);
  REQUIRE(book->note({refused("192.0.2.3", k_now + std::chrono::hours(24 * 7 + 2))}));
  CHECK(book->refused_logins(k_now, 10)->size() == 1);
}

TEST_CASE("calls: strangers cannot fill the disk, and each customer's last call stays", "[calls]") {
  const TemporaryDirectory directory;
  auto book = CallBook::open(directory.path());
  std::vector<CallEvent> events{over(call(1, "quiet"), true)};
  for (std::int64_t i = 0; i < CallBook::k_calls + 10; ++i) events.push_back(over(call(2, "busy"), false));
  for (std::int64_t i = 0; i < CallBook::k_addresses + 10; ++i)
    events.push_back(refused("address " + std::to_string(i), k_now + std::chrono::seconds(i)));
  REQUIRE(book->note(events));
  const auto kept = book->newest(1'000'000);
  REQUIRE(kept);
  CHECK(kept->size() == static_cast<std::size_t>(CallBook::k_calls) + 1);
  CHECK(kept->back().customer == "quiet");
  const auto addresses = book->refused_logins(k_now - std::chrono::hours(1), 1'000'000);
  REQUIRE(addresses);
  CHECK(addresses->size() == static_cast<std::size_t>(CallBook::k_addresses));
  CHECK(addresses->back().address == "address 10");
}

TEST_CASE("calls: another process reads it, and who died has nothing under way", "[calls]") {
  const TemporaryDirectory directory;
  const auto none = CallBook::open_to_read(directory.path());
  REQUIRE(none);
  CHECK_FALSE(*none);
  CHECK_FALSE(std::filesystem::exists(CallBook::path_in(directory.path())));
  auto book = CallBook::open(directory.path());
  REQUIRE(book->note({begun(call(1, "one"))}));
  auto reader = CallBook::open_to_read(directory.path());
  REQUIRE(reader);
  REQUIRE(*reader);
  CHECK((*reader)->under_way()->size() == 1);
  REQUIRE(book->begin());
  CHECK((*reader)->under_way()->empty());
}

TEST_CASE("calls: a damaged book is begun anew: no mail hangs on it", "[calls]") {
  const TemporaryDirectory directory;
  test::write_file(CallBook::path_in(directory.path()), std::string(8192, 'x'));
  CHECK_FALSE(CallBook::open_to_read(directory.path()));
  auto book = CallBook::open(directory.path());
  REQUIRE(book);
  CHECK(book->note({over(call(1, "one"), true)}));
  CHECK(book->newest(10)->size() == 1);
}
