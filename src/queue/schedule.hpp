#pragma once

#include <string>

#include "base/clock.hpp"

namespace odmr::queue {

// When to try again, from the time something began to wait: no counter is kept, so none can be lost.

inline constexpr Duration k_shortest_pause = std::chrono::minutes(5);
inline constexpr Duration k_longest_pause = std::chrono::seconds(4000);

/// How long it has waited. What comes from the future (the clock was set back) has not waited at all.
Duration age(WallTime since, WallTime now);

/// After an attempt at `now` that came to nothing: the pauses grow with the age, from the shortest to the longest, so
/// that they double at first. `chance`, from 0 to 1, makes a pause up to a tenth shorter or longer, so that what came
/// together does not stay together.
WallTime next_try(WallTime since, WallTime now, double chance);

/// The latest time that next_try() can have given up to `now`: what is to be tried later was written by a clock that
/// has been set back since, and is due, or it would wait in silence for that time to come.
WallTime latest_next_try(WallTime now);

/// "5d", "90s".
std::string in_words(Duration duration);

}  // namespace odmr::queue
