#pragma once

#include <asio/any_io_executor.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

#include "net/task.hpp"

namespace odmr::net {

/// Lets coroutines of one loop wait until another says that something has changed. It does not remember: who waits
/// looks at what he waits for, before and after.
class Wakeup {
 public:
  explicit Wakeup(const asio::any_io_executor& executor) : timer_(executor, asio::steady_timer::time_point::max()) {}

  Task<> wait() { co_await timer_.async_wait(asio::experimental::as_tuple(asio::use_awaitable)); }
  /// Wakes all who wait now.
  void wake() { timer_.cancel(); }

 private:
  asio::steady_timer timer_;  // never fires
};

}  // namespace odmr::net
