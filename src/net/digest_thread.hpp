#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "net/digest.hpp"

namespace odmr::net {

/// A thread that works on digests while their owner does other things, one digest after the other. It is begun with the
/// first large piece: who has none has no thread.
class DigestThread {
 public:
  DigestThread() = default;
  ~DigestThread();
  DigestThread(const DigestThread&) = delete;
  DigestThread& operator=(const DigestThread&) = delete;

 private:
  friend class LongSha256;
  enum class State { idle, given, begun };

  void give(Sha256& digest, std::string_view bytes);
  void settle();
  bool start();
  void work_on();

  std::mutex mutex_;
  std::condition_variable changed_;
  State state_ = State::idle;
  Sha256* digest_ = nullptr;
  std::string bytes_;
  bool is_over_ = false;
  std::thread thread_;
};

/// SHA-256 of what may be long. One at a time for each thread, which must outlive it.
class LongSha256 {
 public:
  explicit LongSha256(DigestThread& thread) : thread_(thread) {}
  ~LongSha256() { thread_.settle(); }
  LongSha256(const LongSha256&) = delete;
  LongSha256& operator=(const LongSha256&) = delete;

  void update(std::string_view bytes);
  /// As Sha256::finish().
  std::string finish();

 private:
  DigestThread& thread_;
  Sha256 digest_;
};

}  // namespace odmr::net
