#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>

#include "db/database.hpp"
#include "queue_stage.hpp"

using namespace odmr;
using namespace odmr::queue;
using namespace odmr::test;

namespace {

constexpr std::size_t k_messages = 100'000;

std::string most_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return line.substr(6);
  }
  return {};
}

double processor_time() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

template <class Act>
void timed(const char* what, Act act) {
  const auto begun = std::chrono::steady_clock::now();
  const double processor = processor_time();
  const std::size_t number = act();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun;
  fmt::print("{:<46}{:>8} {:>8.3f} s, {:>7.3f} s of processor, memory at most{}\n", what, number, seconds.count(),
             processor_time() - processor, most_memory());
}

}  // namespace

// odmr_pure_tests '[benchmark]', in a release build; on the disk that TMPDIR names.
TEST_CASE("a queue of 100,000 messages", "[.][benchmark]") {
  const TemporaryDirectory directory;
  WallClock clock;
  KeptLog log;
  FileOps& files = system_files();
  const auto open = [&] { return Queue::in(directory.path(), {}, clock, log, files).value(); };
  {
    QuickFiles quick;
    auto store = spool::Store::in(directory.path(), quick).value();
    const std::string text(4096, 'x');
    for (std::size_t i = 0; i < k_messages; ++i) {
      clock.pass(std::chrono::milliseconds(1));
      auto draft = store.begin({clock.time, "a@example.org", {}, {{"b@example.net", {}}}});
      REQUIRE(draft->write(text));
      REQUIRE(draft->commit());
    }
  }
  ::sync();  // or the first fsync of all would have all of that to write
  const auto refreshed = [&](Queue& queue) {
    REQUIRE(queue.recover());
    REQUIRE(queue.refresh());
    return k_messages;
  };
  {
    Queue queue = open();
    timed("refresh, without an index", [&] { return refreshed(queue); });
    timed("refresh, nothing new", [&] { return refreshed(queue); });
  }
  timed("open, refresh, nothing new", [&] {
    Queue queue = open();
    return refreshed(queue);
  });
  Queue queue = open();
  timed("list", [&] {
    std::size_t seen = 0;
    REQUIRE(queue.list([&](const Entry& entry) { return seen += entry.recipients.size(), true; }));
    return seen;
  });
  timed("sums", [&] { return queue.sums()->messages; });
  timed("due, the first ten", [&] { return queue.due(false, 10)->size(); });
  std::vector<std::string> ids;
  timed("due, all", [&] {
    ids = queue.due(false, k_messages).value();
    return ids.size();
  });
  timed("due, once more", [&] { return queue.due(true, k_messages)->size(); });
  timed("notices due", [&] { return queue.notices_due(false, 100)->size(); });
  timed("put off, in batches of 10", [&] {
    for (std::size_t at = 0; at + 10 <= 20'000; at += 10) {
      std::vector<Attempt> attempts;
      for (std::size_t i = at; i < at + 10; ++i) attempts.push_back(put_off(ids[i]));
      queue.settle(attempts);
    }
    return std::size_t{20'000};
  });
  for (const std::size_t batch : {10U, 50U}) {
    timed(fmt::format("take and settle as sent, in batches of {}", batch).c_str(), [&] {
      for (std::size_t at = 0; at < 10'000; at += batch) {
        std::vector<Attempt> attempts;
        std::vector<Letter> letters;
        for (std::size_t i = 0; i < batch; ++i) {
          letters.push_back(take(queue, ids.back()));
          attempts.push_back(sent(ids.back()));
          ids.pop_back();
        }
        for (const auto& result : queue.settle(attempts)) REQUIRE(result);
      }
      return std::size_t{10'000};
    });
  }
  CHECK(log.lines.empty());
}
