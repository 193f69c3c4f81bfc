#include "net/digest_thread.hpp"

#include <system_error>
#include <utility>

namespace odmr::net {

namespace {

// To copy so much and wake a thread takes a tenth of the time in which it is digested.
constexpr std::size_t k_worth_it = std::size_t{64} * 1024;

}  // namespace

DigestThread::~DigestThread() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_over_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

// False where the system has no thread for us.
bool DigestThread::start() {
  if (thread_.joinable()) return true;
  try {
    thread_ = std::thread([this] { work_on(); });
  } catch (const std::system_error&) {
    return false;
  }
  return true;
}

// After settle(): the thread has nothing.
void DigestThread::give(Sha256& digest, std::string_view bytes) {
  if (!start()) return digest.update(bytes);
  bytes_.assign(bytes);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    digest_ = &digest;
    state_ = State::given;
  }
  changed_.notify_all();
}

// What was given is done. What the thread has not begun, since others have the processor, is taken back: so nobody
// waits longer than without a thread.
void DigestThread::settle() {
  if (!thread_.joinable()) return;
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return state_ != State::begun; });
  if (std::exchange(state_, State::idle) == State::idle) return;
  lock.unlock();
  digest_->update(bytes_);
}

void DigestThread::work_on() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return is_over_ || state_ == State::given; });
    if (is_over_) return;
    state_ = State::begun;
    lock.unlock();
    digest_->update(bytes_);
    lock.lock();
    state_ = State::idle;
    changed_.notify_all();
  }
}

void LongSha256::update(std::string_view bytes) {
  thread_.settle();
  if (bytes.size() < k_worth_it)
    digest_.update(bytes);
  else
    thread_.give(digest_, bytes);
}

std::string LongSha256::finish() {
  thread_.settle();
  return digest_.finish();
}

}  // namespace odmr::net
