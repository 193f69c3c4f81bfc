#include "queue/schedule.hpp"

#include <algorithm>
#include <utility>

namespace odmr::queue {

namespace {

constexpr double k_spread = 0.1;

}  // namespace

Duration age(WallTime since, WallTime now) {
  return std::max(std::chrono::duration_cast<Duration>(now - since), Duration::zero());
}

WallTime next_try(WallTime since, WallTime now, double chance) {
  const Duration pause = std::clamp(age(since, now), k_shortest_pause, k_longest_pause);
  const double factor = 1 - k_spread + 2 * k_spread * std::clamp(chance, 0.0, 1.0);
  return now + std::chrono::duration_cast<WallTime::duration>(factor * pause);
}

WallTime latest_next_try(WallTime now) {
  return now + std::chrono::duration_cast<WallTime::duration>((1 + k_spread) * k_longest_pause);
}

std::string in_words(Duration duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  for (const auto& [size, unit] : {std::pair{86400, "d"}, std::pair{3600, "h"}, std::pair{60, "m"}}) {
    if (seconds >= size && seconds % size == 0) return std::to_string(seconds / size) + unit;
  }
  return std::to_string(seconds) + "s";
}

}  // namespace odmr::queue
