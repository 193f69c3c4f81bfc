#pragma once

#include <cstddef>
#include <string>

#include "smtp/reply.hpp"

namespace odmr::deliver {

/// A target that refuses for good so many messages, whatever they are, before it takes one, is at fault itself: no
/// more of them may be lost to it.
class Breaker {
 public:
  /// 0: never.
  explicit Breaker(std::size_t most) : most_(most) {}

  /// What became of a message, or what was said to its MAIL.
  void note(const smtp::Reply& said) {
    has_taken_ = has_taken_ || said.is_positive();
    if (!said.is_permanent() || has_taken_) return;
    ++refused_;
    last_refusal_ = said.joined();
  }
  /// It has taken a message, if only for some of its recipients.
  void taken() { has_taken_ = true; }
  bool has_taken() const { return has_taken_; }
  bool is_broken() const { return most_ != 0 && !has_taken_ && refused_ >= most_; }
  const std::string& last_refusal() const { return last_refusal_; }

 private:
  std::size_t most_;
  std::size_t refused_ = 0;
  bool has_taken_ = false;
  std::string last_refusal_;
};

}  // namespace odmr::deliver
