#include "send/feed.hpp"

#include <utility>

namespace odmr::send {

using net::Task;

namespace {

constexpr std::size_t k_page = 200;

}  // namespace

Feed::Feed(queue::Queue& queue, net::Worker& disk, bool all, Clock& clock, Log& log,
           const asio::any_io_executor& executor)
    : queue_(queue), disk_(disk), all_(all), clock_(clock), log_(log), looked_(executor) {}

void Feed::give_back(std::shared_ptr<Errand> errand) {
  given_back_.push_back(std::move(errand));
}

Task<std::shared_ptr<Errand>> Feed::next() {
  for (;;) {
    // Another line has found nothing left, and is looking for both.
    while (is_looking_) co_await looked_.wait();
    if (failure_) co_return nullptr;
    if (auto errand = take_next()) co_return errand;
    if (turn_page() || failure_) continue;
    const bool has_more = co_await look();
    if (!has_more) co_return nullptr;
  }
}

std::shared_ptr<Errand> Feed::take_next() {
  if (!given_back_.empty()) {
    auto errand = std::move(given_back_.front());
    given_back_.pop_front();
    return errand;
  }
  while (!ids_.empty()) {
    const std::string id = std::move(ids_.front());
    ids_.pop_front();
    auto letter = queue_.take(id);
    if (!letter) {
      log_.error("a message of the queue cannot be read", {{"id", id}, {"why", letter.error().text}});
      has_left_out_ = true;
    } else if (*letter) {
      return std::make_shared<Errand>(std::move(**letter), clock_.now());
    }
  }
  return nullptr;
}

bool Feed::turn_page() {
  auto due = queue_.due(all_, k_page);
  if (!due) {
    failure_ = due.error();
    return false;
  }
  ids_.assign(std::make_move_iterator(due->begin()), std::make_move_iterator(due->end()));
  return !ids_.empty();
}

void Feed::reconsider(Errand& errand) {
  has_left_out_ = true;
  errand.letter.claim.reset();
  static_cast<void>(queue_.take(errand.letter.id));
}

Task<bool> Feed::look() {
  is_looking_ = true;
  Result<void> refreshed;
  const std::function<void()> work = [&] { refreshed = queue_.refresh(); };
  try {
    co_await disk_.run(work);
  } catch (const std::exception& problem) {
    refreshed = fail(Errc::io, problem.what());
  }
  is_looking_ = false;
  looked_.wake();
  if (!refreshed) {
    log_.error("the queue's directory cannot be read", {{"why", refreshed.error().text}});
    failure_ = refreshed.error();
    co_return false;
  }
  // Another line may have taken all of it already.
  co_return has_more() || turn_page();
}

}  // namespace odmr::send
