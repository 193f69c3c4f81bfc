#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <mutex>
#include <string>
#include <vector>

#include "fake_files.hpp"
#include "queue/queue.hpp"
#include "temporary_directory.hpp"

namespace odmr::test {

/// The time of day, set by hand; nobody waits.
class WallClock final : public Clock {
 public:
  TimePoint now() const override { return TimePoint(); }
  WallTime wall() const override { return time; }
  std::unique_ptr<Alarm> alarm(std::function<void()> /*ring*/) override { return nullptr; }
  void pass(Duration duration) { time += std::chrono::duration_cast<WallTime::duration>(duration); }

  WallTime time = WallTime(std::chrono::seconds(1'800'000'000));
};

/// Keeps the lines from info up, "level event", without their fields.
class KeptLog final : public Log {
 public:
  bool wants(Level level) const override { return level <= Level::info; }
  std::size_t count(std::string_view part) const {
    std::size_t number = 0;
    for (const auto& line : lines)
      if (line.find(part) != std::string::npos) ++number;
    return number;
  }

  std::vector<std::string> lines;

 private:
  void write(Level level, std::string_view event, const Writable& /*fields*/) override {
    const std::lock_guard lock(mutex_);
    const char* name = level == Level::error ? "error " : level == Level::warn ? "warn " : "info ";
    lines.push_back(name + std::string(event));
  }
  std::mutex mutex_;
};

/// A queue's directory, and hands that work on it.
struct QueueStage {
  // SQLite syncs whenever it closes: in memory, where there is such a place, that costs nothing.
  static std::filesystem::path parent() {
    const std::filesystem::path memory("/dev/shm");
    return ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
  }

  TemporaryDirectory directory{parent()};
  WallClock clock;
  KeptLog log;
  queue::QueueOptions options;

  QuickFiles quick_files;

  queue::Queue open() { return open(quick_files); }
  queue::Queue open(FileOps& files) { return queue::Queue::in(directory.path(), options, clock, log, files).value(); }
  /// As who sends opens it.
  queue::Queue start() { return start(quick_files); }
  queue::Queue start(FileOps& files) {
    auto opened = open(files);
    REQUIRE(opened.recover());
    REQUIRE(opened.refresh());
    return opened;
  }
  spool::Store store() { return spool::Store::in(directory.path(), quick_files).value(); }

  std::string put(const std::vector<spool::Recipient>& recipients, const std::string& reverse_path = "a@example.org",
                  const std::string& text = "Subject: x\r\n\r\ntext\r\n") {
    clock.pass(std::chrono::microseconds(1));  // so that the order of arrival is that of the calls
    auto draft = store().begin({clock.time, reverse_path, {}, recipients});
    REQUIRE(draft);
    REQUIRE(draft->write(text));
    return draft->commit().value();
  }
  std::string put(std::size_t recipients = 1, const std::string& reverse_path = "a@example.org") {
    std::vector<spool::Recipient> all;
    for (std::size_t i = 0; i < recipients; ++i) all.push_back({std::to_string(i) + "@example.net", {}});
    return put(all, reverse_path);
  }
};

inline queue::Letter take(queue::Queue& queue, const std::string& id) {
  auto letter = queue.take(id);
  REQUIRE(letter);
  REQUIRE(*letter);
  return std::move(**letter);
}

inline queue::Attempt sent(const std::string& id, std::vector<std::size_t> recipients = {0}) {
  return {id, std::move(recipients), {}, {}, {}};
}
inline queue::Attempt failed(const std::string& id, std::size_t recipient = 0) {
  return {id, {}, {{recipient, smtp::Reply(550, "5.1.1 no such user")}}, {}, {}};
}
inline queue::Attempt put_off(const std::string& id, std::size_t recipient = 0) {
  return {id, {}, {}, {{recipient, smtp::Reply(451, "4.3.0 later")}}, {}};
}

inline std::vector<queue::Entry> entries(queue::Queue& queue) {
  std::vector<queue::Entry> all;
  const auto listed = queue.list([&](const queue::Entry& entry) {
    all.push_back(entry);
    return true;
  });
  REQUIRE(listed);
  return all;
}

/// What must be the same however the index was lost: "ID standing… stopped".
inline std::vector<std::string> standings(queue::Queue& queue) {
  std::vector<std::string> all;
  for (const auto& entry : entries(queue)) {
    std::string line = entry.id + " <" + entry.reverse_path + "> " + std::to_string(entry.size);
    for (const auto& one : entry.recipients) {
      line += " " + one.address + "=" + std::to_string(static_cast<int>(one.standing));
      if (one.standing == queue::Standing::failed) line += "(" + one.reply + ")";
    }
    all.push_back(line + " stopped=" + std::to_string(static_cast<int>(entry.stopped)));
  }
  return all;
}

inline std::vector<std::string> all_due(queue::Queue& queue, bool all = false) {
  return queue.due(all, 1'000'000).value();
}

}  // namespace odmr::test
