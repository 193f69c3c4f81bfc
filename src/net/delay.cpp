#include "net/delay.hpp"

#include <asio/experimental/as_tuple.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

namespace odmr::net {

Task<> delay(Clock& clock, Duration length, Stop& stop) {
  // The clock decides, a simulated one too; the timer never fires, it only lets the coroutine be woken.
  asio::steady_timer woken(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
  const TimePoint end = clock.now() + length;
  const auto alarm = clock.alarm([&woken] { woken.cancel(); });
  const Stop::Listener listener(stop, [&woken](Stop::Phase) { woken.cancel(); });
  alarm->set(end);
  while (clock.now() < end && !stop.requested()) {
    co_await woken.async_wait(asio::experimental::as_tuple(asio::use_awaitable));
  }
}

}  // namespace odmr::net
