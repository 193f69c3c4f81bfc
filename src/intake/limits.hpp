#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "mail/header.hpp"
#include "smtp/reply.hpp"

namespace odmr::intake {

struct Limits {
  std::uint64_t max_size = 0;  ///< of a message as it comes; 0: no limit
  std::size_t max_hops = 100;  ///< RFC 5321 6.3
};

/// Watches a message as it comes in.
class LimitWatch {
 public:
  explicit LimitWatch(const Limits& limits) : limits_(limits) {}

  /// The next bytes; gives the refusal when with them the message is over a limit.
  std::optional<smtp::Reply> see(std::string_view piece);

 private:
  Limits limits_;
  mail::HeaderWatch header_{0};
  std::uint64_t size_ = 0;
};

}  // namespace odmr::intake
