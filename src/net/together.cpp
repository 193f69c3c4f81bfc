#include "net/together.hpp"

#include <asio/co_spawn.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <exception>
#include <memory>
#include <utility>

namespace odmr::net {

namespace {

struct Gathering {
  explicit Gathering(const asio::any_io_executor& executor) : over(executor, asio::steady_timer::time_point::max()) {}
  std::size_t running = 0;
  std::exception_ptr problem;
  asio::steady_timer over;  // never fires: it lets the coroutine be woken
};

}  // namespace

Task<> together(std::vector<Task<>> tasks) {
  const auto executor = co_await asio::this_coro::executor;
  const auto gathering = std::make_shared<Gathering>(executor);
  gathering->running = tasks.size();
  for (auto& task : tasks) {
    asio::co_spawn(executor, std::move(task), [gathering](const std::exception_ptr& problem) {
      if (problem && !gathering->problem) gathering->problem = problem;
      if (--gathering->running == 0) gathering->over.cancel();
    });
  }
  tasks.clear();
  while (gathering->running > 0) {
    co_await gathering->over.async_wait(asio::experimental::as_tuple(asio::use_awaitable));
  }
  if (gathering->problem) std::rethrow_exception(gathering->problem);
}

}  // namespace odmr::net
