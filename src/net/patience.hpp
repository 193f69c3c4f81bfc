#pragma once

#include <functional>
#include <memory>

#include "base/clock.hpp"

namespace odmr::net {

/// How long one direction of a connection may wait. Setting it costs no system call: the alarm stays where it is and,
/// when it rings early, is set anew.
class Patience {
 public:
  Patience(Clock& clock, std::function<void()> end)
      : clock_(clock), end_(std::move(end)), alarm_(clock.alarm([this] { ring(); })) {}

  void begin(TimePoint deadline) {
    expired_ = false;
    deadline_ = deadline;
    if (deadline < armed_) arm(deadline);
  }
  void stop() { deadline_ = TimePoint::max(); }
  bool expired() const { return expired_; }

 private:
  void arm(TimePoint when) {
    armed_ = when;
    alarm_->set(when);
  }
  void ring() {
    armed_ = TimePoint::max();
    if (deadline_ == TimePoint::max()) return;
    if (deadline_ > clock_.now()) return arm(deadline_);
    expired_ = true;
    end_();
  }

  Clock& clock_;
  std::function<void()> end_;
  TimePoint deadline_ = TimePoint::max();
  TimePoint armed_ = TimePoint::max();
  bool expired_ = false;
  std::unique_ptr<Alarm> alarm_;
};

}  // namespace odmr::net
