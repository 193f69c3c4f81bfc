#include "app/call_recorder.hpp"

#include <asio/co_spawn.hpp>
#include <exception>
#include <utility>

namespace odmr::app {

namespace {

using provider::CallEvent;

// Behind a disk that stands still refused logins, which strangers make, are the first to be forgotten.
constexpr std::size_t k_many_pending = 1'000;
constexpr std::size_t k_most_pending = 10'000;

}  // namespace

CallRecorder::CallRecorder(const std::string& spool, asio::io_context& loop, Clock& clock, Log& log)
    : spool_(spool), loop_(loop), clock_(clock), log_(log), worker_(net::make_worker()) {
  auto book = provider::CallBook::open(spool);
  if (book) noted_ = book->begin();
  if (!book || !noted_) {
    log_.warn("what customers do is not written down", {{"why", book ? noted_.error().text : book.error().text}});
    return;
  }
  book_.emplace(std::move(*book));
}

// What the thread has in hand it ends; the rest is written here.
CallRecorder::~CallRecorder() {
  worker_.reset();
  note();
  in_hand_ = std::exchange(pending_, {});
  note();
}

void CallRecorder::on_call(const provider::Call& call) {
  add({CallEvent::Kind::call, call, {}, clock_.wall()});
}

void CallRecorder::on_call_over(const provider::Call& call) {
  add({CallEvent::Kind::over, call, {}, clock_.wall()});
}

void CallRecorder::on_refused_login(const std::string& address) {
  if (pending_.size() < k_many_pending) add({CallEvent::Kind::refused_login, {}, address, clock_.wall()});
}

void CallRecorder::add(CallEvent event) {
  if (!book_ || pending_.size() >= k_most_pending) return;
  pending_.push_back(std::move(event));
  if (std::exchange(is_writing_, true)) return;
  asio::co_spawn(loop_, write(), [](const std::exception_ptr& bug) {
    if (bug) std::rethrow_exception(bug);
  });
}

net::Task<> CallRecorder::write() {
  while (!pending_.empty()) {
    in_hand_ = std::exchange(pending_, {});
    const std::function<void()> work = [this] { note(); };
    co_await worker_->run(work);
    if (!noted_ && !std::exchange(has_failed_, true))
      log_.warn("what customers do cannot be written down", {{"why", noted_.error().text}});
    if (noted_) has_failed_ = false;
  }
  is_writing_ = false;
}

void CallRecorder::note() {
  if (!book_ || in_hand_.empty()) return;
  noted_ = book_->note(in_hand_);
  in_hand_.clear();
  if (noted_ && book_->wants_checkpoint()) noted_ = db::Database::checkpoint(provider::CallBook::path_in(spool_));
}

net::Task<> CallRecorder::look(std::function<void(provider::CallBook*)> look) {
  const std::function<void()> work = [this, &look] { look(book_ ? &*book_ : nullptr); };
  co_await worker_->run(work);
}

}  // namespace odmr::app
