#pragma once

#include <cstddef>
#include <functional>
#include <utility>

#include "base/stop.hpp"

namespace odmr::app {

/// The lines of a run on which its sessions wait for mail, the providers holding them (XHOLD). That may take minutes,
/// in which nothing else is done: once there is anything else, none of them waits any longer.
class HeldLines {
 public:
  /// `on_change`: the number that waits is another one.
  explicit HeldLines(std::function<void()> on_change) : on_change_(std::move(on_change)) {}

  /// Ends all that wait, and nobody begins to wait from then on.
  void break_off() { enough_.advance(Stop::Phase::finish); }
  bool are_wanted() const { return !enough_.requested(); }
  /// Asked for by break_off().
  Stop& enough() { return enough_; }
  std::size_t waiting() const { return waiting_; }

  /// One of them, as long as it waits.
  class Wait {
   public:
    explicit Wait(HeldLines& lines) : lines_(lines) { lines_.count(1); }
    ~Wait() { lines_.count(-1); }
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;

   private:
    HeldLines& lines_;
  };

 private:
  void count(int more) {
    waiting_ = more > 0 ? waiting_ + 1 : waiting_ - 1;
    if (on_change_) on_change_();
  }

  std::function<void()> on_change_;
  Stop enough_;
  std::size_t waiting_ = 0;
};

}  // namespace odmr::app
