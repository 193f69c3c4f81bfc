#include "net/worker.hpp"

#include <asio/async_result.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace odmr::net {

namespace {

// Work that somebody waits for. It is made, told that it is over, and destroyed on the waiter's thread, all but
// do_it().
class Job {
 public:
  explicit Job(std::function<void()> work) : work_(std::move(work)) {}
  virtual ~Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  void do_it() {
    try {
      work_();
    } catch (...) {
      problem_ = std::current_exception();
    }
  }
  /// Hands `self` over to the loop of who waits, who goes on there.
  virtual void finish(std::unique_ptr<Job> self) = 0;

 protected:
  std::exception_ptr take_problem() { return std::move(problem_); }

 private:
  std::function<void()> work_;
  std::exception_ptr problem_;
};

template <class Handler>
class AwaitedJob final : public Job {
 public:
  AwaitedJob(std::function<void()> work, Handler handler)
      : Job(std::move(work)), guard_(asio::make_work_guard(handler)), handler_(std::move(handler)) {}

  void finish(std::unique_ptr<Job> self) override {
    const auto executor = guard_.get_executor();
    asio::post(executor, [job = std::unique_ptr<AwaitedJob>(static_cast<AwaitedJob*>(self.release()))]() mutable {
      Handler handler = std::move(job->handler_);
      const auto problem = job->take_problem();
      job.reset();
      std::move(handler)(problem);
    });
  }

 private:
  asio::executor_work_guard<asio::associated_executor_t<Handler>> guard_;
  Handler handler_;
};

class ThreadWorker final : public Worker {
 public:
  explicit ThreadWorker(std::size_t most) : most_(most) {}
  ~ThreadWorker() override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      is_over_ = true;
    }
    wanted_.notify_all();
    for (auto& thread : threads_) thread.join();
  }
  ThreadWorker(const ThreadWorker&) = delete;
  ThreadWorker& operator=(const ThreadWorker&) = delete;

  Task<> run(std::function<void()> work) override {
    const auto initiate = [this](auto&& handler, std::function<void()> given) {
      using Handler = std::decay_t<decltype(handler)>;
      put(std::make_unique<AwaitedJob<Handler>>(std::move(given), std::forward<decltype(handler)>(handler)));
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr)>(
        initiate, asio::use_awaitable, std::move(work));
  }

 private:
  void put(std::unique_ptr<Job> job) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      jobs_.push_back(std::move(job));
      if (idle_ < jobs_.size() && threads_.size() < most_) threads_.emplace_back([this] { work_on(); });
    }
    wanted_.notify_one();
  }

  void work_on() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      ++idle_;
      wanted_.wait(lock, [this] { return is_over_ || !jobs_.empty(); });
      --idle_;
      if (is_over_) return;
      auto job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job->do_it();
      Job& finished = *job;
      finished.finish(std::move(job));
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wanted_;
  std::deque<std::unique_ptr<Job>> jobs_;  // not begun
  bool is_over_ = false;
  const std::size_t most_;
  std::size_t idle_ = 0;              // threads that wait for work
  std::vector<std::thread> threads_;  // started in put(), once everything else is there
};

class InlineWorker final : public Worker {
 public:
  Task<> run(std::function<void()> work) override {
    work();
    co_return;
  }
};

}  // namespace

std::unique_ptr<Worker> make_worker(std::size_t most) {
  return std::make_unique<ThreadWorker>(most);
}

std::unique_ptr<Worker> make_inline_worker() {
  return std::make_unique<InlineWorker>();
}

}  // namespace odmr::net
