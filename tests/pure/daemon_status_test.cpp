// How it stands with odmrd: gathered from a spool, judged, and shown.

#include <algorithm>
#include <catch2/catch.hpp>
#include <regex>
#include <set>

#include "app/daemon_status.hpp"
#include "show/daemon_text.hpp"
#include "show/status_page.hpp"
#include "spool/lock.hpp"
#include "temporary_directory.hpp"

using namespace odmr;
using namespace odmr::app;
using test::TemporaryDirectory;

namespace {

using std::chrono::hours;

const WallTime k_now = WallTime(std::chrono::seconds(1'800'000'000));

// Two customers, and their spool.
struct Place {
  Place() {
    settings.spool = directory.path();
    settings.session.hostname = "odmr.example.net";
    for (const std::string name : {"one", "two"}) {
      CustomerSettings customer;
      customer.customer.name = name;
      customer.customer.domains = {name + ".example", name + ".test"};
      settings.customers.push_back(std::move(customer));
    }
    settings.customers[0].customer.quota = 1000;
  }

  void put(const std::vector<std::string>& recipients, std::size_t size, WallTime arrival,
           provider::Folder folder = provider::Folder::held) const {
    auto store = provider::open_folder(directory.path(), folder);
    REQUIRE(store);
    spool::Envelope envelope{arrival, "", {}, {}};
    for (const auto& one : recipients) envelope.recipients.push_back({one, {}});
    auto draft = store->begin(envelope);
    REQUIRE(draft);
    REQUIRE(draft->write(std::string(size, 'x')));
    REQUIRE(draft->commit());
  }

  DaemonStatus status(WallTime now = k_now) const {
    auto found = daemon_status_of(settings, now);
    REQUIRE(found);
    return *found;
  }

  TemporaryDirectory directory;
  DaemonSettings settings;
};

provider::Call call(const std::string& customer, bool is_good) {
  provider::Call one;
  one.number = 1;
  one.customer = customer;
  one.address = "192.0.2.7:4711";
  one.began = k_now - hours(1);
  one.ended = one.began + std::chrono::seconds(2);
  one.is_good = is_good;
  one.reply = "450 4.7.1 <script>\"&'</script>";
  return one;
}

std::string troubles(const DaemonStatus& status) {
  std::string all;
  for (const auto& one : status.troubles) all += one.with + ": " + one.text + "\n";
  return all;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const auto& line : lines) all += line + "\n";
  return all;
}

bool has(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("odmrd status: what is held is each customer's, counted once", "[daemon-status]") {
  const Place place;
  place.put({"a@one.example", "b@one.test", "c@two.example"}, 300, k_now - hours(3));
  place.put({"a@one.test"}, 400, k_now - hours(2));
  place.put({"a@nobody.example"}, 400, k_now - hours(9));
  const auto status = place.status();
  REQUIRE(status.customers.size() == 2);
  CHECK(status.customers[0].held.messages == 2);
  CHECK(status.customers[0].held.bytes == 700);
  CHECK(status.customers[0].held.oldest == k_now - hours(3));
  CHECK(status.customers[1].held.messages == 1);
  CHECK(status.customers[1].held.bytes == 300);
  CHECK(status.free_space);
}

TEST_CASE("odmrd status: the book tells of calls, also where nobody serves", "[daemon-status]") {
  const Place place;
  CHECK(has(troubles(place.status()), "odmrd: nobody serves this spool"));
  auto book = provider::CallBook::open(place.directory.path());
  REQUIRE(book);
  auto waiting = call("two", true);
  waiting.number = 2;
  waiting.is_waiting = true;
  REQUIRE(book->note({{provider::CallEvent::Kind::over, call("one", false), {}, k_now},
                      {provider::CallEvent::Kind::call, waiting, {}, k_now}}));
  const auto alone = place.status();
  REQUIRE(alone.customers[0].last);
  CHECK_FALSE(alone.customers[0].last->is_good);
  CHECK_FALSE(alone.runs);
  CHECK(alone.customers[1].lines == 0);  // what a process left that died

  const auto lock = spool::DirectoryLock::take(place.directory.path());
  REQUIRE(lock);
  const auto served = place.status();
  CHECK(served.runs);
  CHECK(served.troubles.empty());
  CHECK(served.customers[1].lines == 1);
  CHECK(served.customers[1].waiting == 1);
  CHECK(has(joined(show::in_words(served, true)), "two: nothing is held\n  on the line, and waits for mail\n"));
}

TEST_CASE("odmrd status: what is wrong is said, and what is not wrong is not", "[daemon-status]") {
  Place place;
  const auto lock = spool::DirectoryLock::take(place.directory.path());
  CHECK(troubles(place.status()).empty());
  place.put({"a@two.example"}, 10, k_now - hours(23));
  CHECK(troubles(place.status()).empty());
  place.put({"a@two.example"}, 10, k_now - hours(30));
  place.put({"a@one.example"}, 950, k_now);
  place.put({"a@one.example"}, 10, k_now - hours(30), provider::Folder::bounces);
  CHECK(troubles(place.status()) ==
        "bounces: 1 message refused for good, and no sender has been told\n"
        "one: 95 % of its quota are used\n"
        "two: 2 messages held, the oldest for 30 hours, and no good call so far\n");
  auto book = provider::CallBook::open(place.directory.path());
  auto good = call("two", true);
  REQUIRE(book->note({{provider::CallEvent::Kind::over, good, {}, k_now}}));
  CHECK_FALSE(has(troubles(place.status()), "two: "));
  CHECK(has(troubles(place.status(k_now + hours(30))),
            "two: 2 messages held, the oldest for 2 days, and no good call for 30 hours"));

  place.settings.listeners.push_back({"odmr", "[::]:366", provider::DoorTls::starttls, {}});
  place.settings.listeners.back().certificate.certificate = place.directory / "none.pem";
  CHECK(has(troubles(place.status()), "listen.odmr: " + (place.directory / "none.pem")));
}

TEST_CASE("odmrd status: a customer that has not called for a week is named", "[daemon-status]") {
  const Place place;
  const auto lock = spool::DirectoryLock::take(place.directory.path());
  auto book = provider::CallBook::open(place.directory.path());
  REQUIRE(book->note({{provider::CallEvent::Kind::over, call("two", true), {}, k_now}}));
  CHECK(troubles(place.status(k_now + hours(6 * 24))).empty());
  CHECK(troubles(place.status(k_now + hours(8 * 24))) == "two: no good call for 8 days\n");
}

TEST_CASE("odmrd status: a spool that is not there is an error, a book that is damaged a trouble", "[daemon-status]") {
  Place place;
  test::write_file(place.directory / "calls.db", std::string(8192, 'x'));
  CHECK(has(troubles(place.status()), "calls: what customers did cannot be read: "));
  place.settings.spool = "/dev/null/nowhere";
  CHECK_FALSE(daemon_status_of(place.settings, k_now));
}

// --- as it is shown

namespace {

DaemonStatus shown() {
  DaemonStatus status;
  status.now = k_now;
  status.hostname = "odmr.example.net";
  CustomerStatus one{"one", {"one.example"}, 2000, {2, 1500, k_now - hours(3)}, call("one", false), std::nullopt, 0, 0};
  CustomerStatus two{"two", {"two.example"}, 0, {}, std::nullopt, std::nullopt, 1, 1};
  status.customers = {one, two};
  status.newest = {call("one", false)};
  status.under_way = {call("two", true)};
  status.days = {{0, 3, 4, 4000}, {29, 1, 1, 10}, {30, 1, 99, 10}};
  status.refused = {{"192.0.2.99", 42, k_now - hours(2), k_now - hours(1)}};
  status.totals = {{"one", "calls", 7}, {"", "refused_logins", 42}};
  status.certificates = {{"odmr", k_now + hours(240)}};
  status.free_space = 1000;
  status.troubles = {{"one", "something \"is\" <wrong>", "mend it"}};
  return status;
}

}  // namespace

TEST_CASE("odmrd status: in words", "[daemon-status]") {
  CHECK(joined(show::in_words(shown(), false)) ==
        "one: 2 messages held (1.5 KiB), 75 % of its quota, the oldest came 3 h ago\n"
        "  last call 59 min ago, from 192.0.2.7:4711: 450 4.7.1 <script>\"&'</script>\n"
        "  no good call is known\n"
        "two: nothing is held\n"
        "  on the line, and waits for mail\n"
        "\n"
        "handed over in 30 days: 5 messages\n"
        "  3............................9\n"
        "\n"
        "refused logins of the last 24 hours:\n"
        "  192.0.2.99: 42 logins, the last 60 min ago\n"
        "\n"
        "wrong now:\n"
        "  one: something \"is\" <wrong>\n"
        "    What to do: mend it\n");
}

TEST_CASE("odmrd status: the page runs nothing, and strangers' words are no part of it", "[daemon-status]") {
  auto status = shown();
  status.customers[0].name = "<b>\x1b[31m";
  const auto page = show::status_page(status, "1.2.3");
  CHECK(page.starts_with("<!DOCTYPE html>\n"));
  CHECK_FALSE(has(page, "<script"));
  CHECK_FALSE(has(page, "<b>"));
  CHECK_FALSE(has(page, "\x1b"));
  CHECK_FALSE(has(page, "http://"));
  CHECK_FALSE(has(page, " style="));
  CHECK(has(page, "450 4.7.1 &lt;script&gt;&quot;&amp;&#39;&lt;/script&gt;"));
  CHECK(has(page, "<strong>one</strong>: something &quot;is&quot; &lt;wrong&gt;<small>What to do: mend it</small>"));
  CHECK(has(page, "<title>odmr.example.net: odmrd</title>"));
  CHECK(has(page, "1.5 KiB<small>75 % of 2.0 KiB</small>"));
  CHECK(has(page, "waits for mail now"));
  // A bar for today and one for the day at the left end.
  CHECK(has(page, "<rect class=\"bar\" x=\"291\" y=\"4\" width=\"8\" height=\"96\">"));
  CHECK(has(page, "<rect class=\"bar\" x=\"1\" "));
  CHECK(has(page, "odmrd 1.2.3."));
  CHECK(show::status_page_policy().starts_with("style-src 'sha256-"));
  status.troubles.clear();
  CHECK(has(show::status_page(status, "1"), "Nothing is wrong."));
  CHECK(has(show::status_page(DaemonStatus(), "1"), "odmrd customer add"));
}

TEST_CASE("odmrd status: the manual has each metric, and the example has no other", "[daemon-status][manual]") {
  const auto names_in = [](const std::string& text) {
    static const std::regex name("odmrd_[a-z_]+");
    std::set<std::string> names;
    for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at) names.insert(at->str());
    return names;
  };
  const std::string repository = ODMR_REPOSITORY;
  auto status = shown();
  status.customers[0].last_good = k_now;
  const auto written = names_in(show::metrics(status, "1"));
  CHECK(names_in(test::read_file(repository + "/man/odmrd.8")) == written);
  const auto used = names_in(test::read_file(repository + "/examples/prometheus-alerts-odmrd.yml"));
  CHECK(used.size() >= 8);
  CHECK(std::includes(written.begin(), written.end(), used.begin(), used.end()));
}

TEST_CASE("odmrd status: metrics", "[daemon-status]") {
  auto status = shown();
  status.customers[0].name = "o\"ne";
  const auto text = show::metrics(status, "1.2.3");
  for (const std::string line :
       {"odmrd_build_info{version=\"1.2.3\"} 1", "odmrd_held_messages{customer=\"o\\\"ne\"} 2",
        "odmrd_held_bytes{customer=\"two\"} 0", "odmrd_quota_bytes{customer=\"o\\\"ne\"} 2000",
        "odmrd_waiting_lines{customer=\"two\"} 1", "odmrd_last_good_call_timestamp_seconds{customer=\"two\"} 0",
        "odmrd_refused_logins_total 42", "odmrd_spool_free_bytes 1000",
        "odmrd_certificate_not_after_timestamp_seconds{listen=\"odmr\"} 1800864000", "odmrd_troubles 1"}) {
    INFO(text);
    CHECK(has("\n" + text, "\n" + line + "\n"));
  }
}
