#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/error.hpp"

namespace odmr::config {

/// A duration as people write it: "500ms", "90s", "5m", "2h", "5d". Errors: malformed, with what would be right.
Result<Duration> parse_duration(std::string_view text);
/// The other way round, in the largest unit that needs no fraction.
std::string to_text(Duration duration);

/// A number of bytes as people write it: "100B", "64KiB", "50MiB", "2GiB", "1TiB". Errors: as above.
Result<std::uint64_t> parse_size(std::string_view text);

}  // namespace odmr::config
