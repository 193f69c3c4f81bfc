#include "deliver/connections.hpp"

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/this_coro.hpp>
#include <exception>
#include <utility>

#include "net/together.hpp"

namespace odmr::deliver {

using net::Task;

struct Connections::Line {
  Line(const Make& make, Stop& all) : follows(all, [this](Stop::Phase phase) { stop.advance(phase); }) {
    stop.advance(all.phase());
    target = make(stop);
  }
  Stop stop;  // of this one alone
  Stop::Listener follows;
  std::unique_ptr<Target> target;
  bool is_in_use = false;
};

Connections::Connections(std::size_t most, const Make& make, Log& log, Stop& stop)
    : most_(std::max<std::size_t>(most, 1)), make_(make), log_(log), stop_(stop) {
  lines_.push_back(std::make_unique<Line>(make_, stop_));
}

Connections::~Connections() = default;

Target& Connections::first() {
  return *lines_.front()->target;
}

Connections::Line* Connections::free_one() {
  const auto found = std::find_if(lines_.begin(), lines_.end(), [](const auto& one) { return !one->is_in_use; });
  return found == lines_.end() ? nullptr : found->get();
}

Task<Target*> Connections::take() {
  const auto loop = co_await asio::this_coro::executor;
  if (!changed_) changed_.emplace(loop);
  for (;;) {
    if (Line* const line = free_one()) {
      line->is_in_use = true;
      co_return line->target.get();
    }
    open_another(loop);
    co_await changed_->wait();
  }
}

void Connections::open_another(const asio::any_io_executor& loop) {
  if (is_opening_ || lines_.size() >= most_ || stop_.requested()) return;
  is_opening_ = true;
  lines_.push_back(std::make_unique<Line>(make_, stop_));
  Line* const line = lines_.back().get();
  line->is_in_use = true;
  asio::co_spawn(loop, open(line), [](const std::exception_ptr& problem) {
    if (problem) std::rethrow_exception(problem);
  });
}

Task<> Connections::open(Line* line) {
  const auto ready = co_await line->target->ready();
  is_opening_ = false;
  line->is_in_use = false;
  if (!ready) {
    lines_.pop_back();
    most_ = lines_.size();
    log_.info("the local target takes no further connection",
              {{"has", std::to_string(most_)}, {"why", ready.error().text}});
  }
  changed_->wake();
}

void Connections::give_back(Target* target) {
  for (const auto& line : lines_) {
    if (line->target.get() == target) line->is_in_use = false;
  }
  if (changed_) changed_->wake();
}

Task<> Connections::change() {
  co_await changed_->wait();
}

Task<> Connections::close() {
  if (is_opening_) lines_.back()->stop.advance(Stop::Phase::leave);
  while (is_opening_) co_await changed_->wait();
  std::vector<Task<>> farewells;
  for (const auto& line : lines_) farewells.push_back(line->target->close());
  co_await net::together(std::move(farewells));
}

}  // namespace odmr::deliver
