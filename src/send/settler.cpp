#include "send/settler.hpp"

#include <algorithm>
#include <utility>

namespace odmr::send {

using net::Task;

namespace {

// Less than the sync that is saved.
constexpr Duration k_shortest_wait = std::chrono::microseconds(100);
constexpr Duration k_longest_wait = std::chrono::milliseconds(5);

}  // namespace

Settler::Settler(queue::Queue& queue, net::Worker& disk, Clock& clock, Log& log, const asio::any_io_executor& executor)
    : queue_(queue),
      disk_(disk),
      clock_(clock),
      log_(log),
      executor_(executor),
      changed_(executor),
      alarm_(clock.alarm([this] { changed_.wake(); })) {}

Task<> Settler::try_out() {
  Result<void> tried;
  const std::function<void()> work = [&] { tried = queue_.try_note(); };
  co_await disk_.run(work);
  if (tried) co_return;
  log_.error("the queue takes no notes, so nothing is sent", {{"why", tried.error().text}});
  failure_ = tried.error();
}

void Settler::expect_no_more() {
  --expected_;
  changed_.wake();
}

std::shared_ptr<Settler::Receipt> Settler::settle(queue::Attempt attempt, std::shared_ptr<const void> claim) {
  auto receipt = std::make_shared<Receipt>(executor_);
  waiting_.push_back({std::move(attempt), std::move(claim), receipt});
  changed_.wake();
  return receipt;
}

Task<Result<void>> Settler::settled(std::shared_ptr<Receipt> receipt) {
  while (receipt && !receipt->is_settled_) co_await receipt->settled_.wait();
  if (failure_) co_return fail(*failure_);
  co_return Result<void>();
}

Task<> Settler::run() {
  while (!is_closed_ || !waiting_.empty()) {
    if (waiting_.empty()) {
      co_await changed_.wait();
    } else {
      co_await gather();
      auto batch = std::exchange(waiting_, {});
      co_await settle_all(std::move(batch));
    }
  }
}

Task<> Settler::gather() {
  if (expected_ == 0) co_return;
  const TimePoint deadline = clock_.now() + std::clamp(last_took_ / 2, k_shortest_wait, k_longest_wait);
  alarm_->set(deadline);
  while (expected_ > 0 && clock_.now() < deadline) co_await changed_.wait();
  alarm_->clear();
}

void Settler::close() {
  is_closed_ = true;
  changed_.wake();
}

Task<> Settler::settle_all(std::vector<Item> batch) {
  std::vector<queue::Attempt> attempts;
  attempts.reserve(batch.size());
  for (auto& item : batch) attempts.push_back(std::move(item.attempt));
  std::vector<Result<void>> results;
  const TimePoint begin = clock_.now();
  const std::function<void()> work = [&] { results = queue_.settle(attempts); };
  try {
    co_await disk_.run(work);
  } catch (const std::exception& problem) {
    results.assign(batch.size(), fail(Errc::io, problem.what()));
  }
  last_took_ = clock_.now() - begin;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    note(attempts[i], i < results.size() ? results[i] : fail(Errc::io, "the queue gave no answer"));
    batch[i].receipt->is_settled_ = true;
    batch[i].receipt->settled_.wake();
  }
  // The last hand on a file that is gone frees its blocks, which may wait for the disk: not on the loop.
  const std::function<void()> let_go = [&batch] {
    for (auto& item : batch) item.claim.reset();
  };
  co_await disk_.run(let_go);
}

void Settler::note(const queue::Attempt& attempt, const Result<void>& result) {
  if (result) return;
  // Removed by hand meanwhile: nothing is left to be written about.
  if (result.error().code == Errc::not_found) return;
  log_.error("the queue does not take the answer to a message, so nothing more is sent",
             {{"id", attempt.id}, {"sent", std::to_string(attempt.sent.size())}, {"why", result.error().text}});
  if (!failure_) failure_ = result.error();
}

}  // namespace odmr::send
