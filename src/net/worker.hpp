#pragma once

#include <functional>
#include <memory>

#include "net/task.hpp"

namespace odmr::net {

/// Where work is done that blocks (fsync): a thread of its own, so that the event loop never waits for a disk.
class Worker {
 public:
  virtual ~Worker() = default;
  /// Does `work` there, after what was given before, and comes back when it is done. What it uses must live until then.
  virtual Task<> run(std::function<void()> work) = 0;
};

/// One thread, started with the first work. Destroying it waits for the work in hand.
std::unique_ptr<Worker> make_worker();
/// Does the work at once, in the caller's thread: for tests.
std::unique_ptr<Worker> make_inline_worker();

}  // namespace odmr::net
