#pragma once

#include <asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>

#include "base/clock.hpp"
#include "net/task.hpp"

namespace odmr::net {

/// An event loop whose time stands still while anything can go on, and then jumps to the next alarm: hours of
/// patience pass in microseconds, and every run is the same.
class Simulation final : public Clock {
 public:
  Simulation();
  ~Simulation() override;

  TimePoint now() const override { return now_; }
  WallTime wall() const override;
  std::unique_ptr<Alarm> alarm(std::function<void()> ring) override;

  asio::io_context& loop() { return loop_; }

  /// Runs the conversation until it ends, or until nothing can go on and no alarm is set. Gives whether it ended.
  /// Conversations started beside it with start() run along.
  bool run(Task<> conversation);
  /// Starts a conversation that is not waited for.
  void start(Task<> conversation);
  /// Runs what is left after run(): conversations that need no more time.
  void settle();

 private:
  class SimulatedAlarm;
  bool ring_next();

  TimePoint now_;
  std::multimap<TimePoint, SimulatedAlarm*> alarms_;
  asio::io_context loop_;  // last: conversations that it destroys still clear their alarms
};

}  // namespace odmr::net
