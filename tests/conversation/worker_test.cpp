// The thread that works for the loop: a real one, with a real loop.

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <atomic>
#include <catch2/catch.hpp>
#include <semaphore>
#include <stdexcept>
#include <thread>

#include "net/worker.hpp"

namespace odmr::net {

namespace {

Task<> work_twice(Worker& worker, std::vector<int>& done, int number) {
  for (int i = 0; i < 2; ++i) {
    std::thread::id where;
    const std::function<void()> work = [&] {
      where = std::this_thread::get_id();
      done.push_back(number);  // on the one thread, so nobody else writes now
    };
    co_await worker.run(work);
    done.back() = number;
    CHECK(where != std::this_thread::get_id());
  }
}

Task<> fail_in(Worker& worker, std::string& heard) {
  const std::function<void()> work = [] { throw std::runtime_error("no disk"); };
  try {
    co_await worker.run(work);
  } catch (const std::runtime_error& problem) {
    heard = problem.what();
  }
}

Task<> begin(Worker& worker, std::function<void()> work) {
  co_await worker.run(std::move(work));
}

}  // namespace

TEST_CASE("worker: work is done on another thread, in its order, and the loop waits for it", "[worker]") {
  asio::io_context loop;
  const auto worker = make_worker();
  std::vector<int> order;
  for (int i = 0; i < 50; ++i) {
    const std::function<void()> work = [&order, i] { order.push_back(i); };
    asio::co_spawn(loop, begin(*worker, work), asio::detached);
  }
  loop.run();
  REQUIRE(order.size() == 50);
  CHECK(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("worker: who waits goes on, on the loop's own thread, time after time", "[worker]") {
  asio::io_context loop;
  const auto worker = make_worker();
  std::vector<std::vector<int>> done(20);
  for (int i = 0; i < 20; ++i) {
    asio::co_spawn(loop, work_twice(*worker, done[static_cast<std::size_t>(i)], i), asio::detached);
  }
  loop.run();
  for (const auto& one : done) CHECK(one.size() == 2);
}

TEST_CASE("worker: what work throws comes out where it was asked for", "[worker]") {
  for (const bool has_thread : {true, false}) {
    asio::io_context loop;
    const auto worker = has_thread ? make_worker() : make_inline_worker();
    std::string heard;
    asio::co_spawn(loop, fail_in(*worker, heard), asio::detached);
    loop.run();
    CHECK(heard == "no disk");
  }
}

TEST_CASE("worker: its end waits for the work in hand, and drops the rest", "[worker]") {
  asio::io_context loop;
  auto worker = make_worker();
  std::binary_semaphore is_begun(0);
  std::atomic<bool> first_is_done = false;
  std::atomic<bool> second_is_done = false;
  std::binary_semaphore may_end(0);
  const std::function<void()> first = [&] {
    is_begun.release();
    may_end.acquire();
    first_is_done = true;
  };
  const std::function<void()> second = [&] { second_is_done = true; };
  asio::co_spawn(loop, begin(*worker, first), asio::detached);
  asio::co_spawn(loop, begin(*worker, second), asio::detached);
  loop.poll();
  is_begun.acquire();
  std::thread ends([&] { worker.reset(); });
  may_end.release();
  ends.join();
  CHECK(first_is_done);
  // Whether the second was begun before the end came is chance; it must not be half done, or done later.
  const bool was_done = second_is_done;
  loop.poll();
  CHECK(second_is_done == was_done);
}

}  // namespace odmr::net
