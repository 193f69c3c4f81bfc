#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace odmr {

using Duration = std::chrono::steady_clock::duration;
using TimePoint = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

/// Rings once, at the time last set. Destroying it, or clear(), makes sure that it does not ring any more.
class Alarm {
 public:
  virtual ~Alarm() = default;
  virtual void set(TimePoint when) = 0;
  virtual void clear() = 0;
};

/// Time, and being woken by it. Waiting goes by now(), which never jumps; what people read goes by wall().
/// Tests have one that is set by hand (net/simulation.hpp).
class Clock {
 public:
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  virtual WallTime wall() const = 0;
  /// The alarm calls `ring` from the event loop. It must not outlive the clock.
  virtual std::unique_ptr<Alarm> alarm(std::function<void()> ring) = 0;
};

}  // namespace odmr
