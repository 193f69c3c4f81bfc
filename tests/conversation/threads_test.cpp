// The journal with its real thread and a real file, as several sessions of one run use it at once. Worth most under
// ThreadSanitizer (preset tsan).

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "../pure/temporary_directory.hpp"
#include "journal/journal.hpp"
#include "net/system_network.hpp"

namespace odmr::journal {

namespace {

using net::Task;

constexpr int k_sessions = 16;
constexpr int k_messages = 25;

struct Desk {
  Desk() : clock(loop) {}

  std::unique_ptr<Journal> open() {
    JournalOptions options;
    options.path = directory / "journal.db";
    auto opened = Journal::open(options, loop.get_executor(), *disk, clock, silent_log());
    REQUIRE(opened);
    return std::move(*opened);
  }

  test::TemporaryDirectory directory;
  asio::io_context loop;
  net::SystemClock clock;
  std::unique_ptr<net::Worker> disk = net::make_worker();
};

std::string digest_of(int message) {
  return std::string(32, static_cast<char>(message));
}

// Half of its messages the provider has certainly read the answer of.
Task<> session(Journal& journal, int number, int& faults) {
  const std::string recipient = "r" + std::to_string(number) + "@customer.example";
  for (int message = 0; message < k_messages; ++message) {
    const bool is_read = message < k_messages / 2;
    const std::string connection = std::to_string(number) + (is_read ? "-1" : "-2");
    const Address address{"isp", "<a@example.org>", recipient};
    const auto before = journal.may_be_had(address, connection);
    Intent intent{"isp", "<a@example.org>", {recipient}, digest_of(message), 100, connection};
    const auto ids = co_await journal.intend(intent);
    if (!before || !ids) {
      ++faults;
      co_return;
    }
    Verdict verdict;
    verdict.connection = connection;
    verdict.had.push_back({ids->front(), Fate::delivered});
    const auto settled = co_await journal.settle(verdict);
    const auto found = journal.find(address, digest_of(message), "another", {});
    if (!settled || !found || !*found) ++faults;
    if (is_read) journal.answers_read(connection);
  }
  const auto flushed = co_await journal.flush();
  if (!flushed) ++faults;
}

}  // namespace

TEST_CASE("journal: sessions beside each other share its thread, and what each wrote is there", "[threads]") {
  Desk desk;
  int faults = 0;
  {
    const auto journal = desk.open();
    for (int i = 0; i < k_sessions; ++i) {
      asio::co_spawn(desk.loop, session(*journal, i, faults), [](const std::exception_ptr& problem) {
        if (problem) std::rethrow_exception(problem);
      });
    }
    desk.loop.run();
  }
  CHECK(faults == 0);

  const auto again = desk.open();
  for (int i = 0; i < k_sessions; ++i) {
    const std::string recipient = "r" + std::to_string(i) + "@customer.example";
    for (int message = 0; message < k_messages; ++message) {
      const auto found = again->find({"isp", "<a@example.org>", recipient}, digest_of(message), "another", {});
      REQUIRE(found);
      CHECK(found->has_value() == (message >= k_messages / 2));
    }
  }
}

}  // namespace odmr::journal
