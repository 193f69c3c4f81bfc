#pragma once

#include <chrono>
#include <cstdint>

#include "base/clock.hpp"

namespace odmr::journal {

/// A time as the tables have it: microseconds since 1970.
inline std::int64_t to_number(WallTime time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}

inline WallTime to_time(std::int64_t number) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(std::chrono::microseconds(number)));
}

}  // namespace odmr::journal
