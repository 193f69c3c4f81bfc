#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "base/clock.hpp"

namespace odmr::cli {

/// For commands that look at something and wait for nothing: alarms never ring.
class WallClock final : public Clock {
 public:
  TimePoint now() const override { return std::chrono::steady_clock::now(); }
  WallTime wall() const override { return std::chrono::system_clock::now(); }
  std::unique_ptr<Alarm> alarm(std::function<void()>) override { return nullptr; }
};

}  // namespace odmr::cli
