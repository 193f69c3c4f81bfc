#pragma once

#include <functional>
#include <memory>

#include "net/task.hpp"

namespace odmr::net {

/// Where work is done that blocks (fsync): threads of its own, so that the event loop never waits for a disk.
class Worker {
 public:
  virtual ~Worker() = default;
  /// Does `work` there, begun after what was given before, and comes back when it is done; what it throws comes out
  /// here. What it uses must live until then. The loop of the caller does not run dry meanwhile.
  virtual Task<> run(std::function<void()> work) = 0;
};

/// One thread, or as many as `most` while there is work for them, started when it comes. Destroying it waits for the
/// work in hand; what has not been begun is never done, and who waits for it is not woken. It must go before the loops
/// of those who use it.
std::unique_ptr<Worker> make_worker(std::size_t most = 1);
/// Does the work at once, in the caller's thread: for tests.
std::unique_ptr<Worker> make_inline_worker();

}  // namespace odmr::net
