#pragma once

#include <string>
#include <vector>

#include "app/status.hpp"
#include "show/json.hpp"

namespace odmr::show {

// How it stands, in words and as JSON. What strangers said is escaped in both.

/// "5 min ago"
std::string ago(WallTime then, WallTime now);

/// The lines that `odmr status` prints. `utf8`: the chart may have block characters.
std::vector<std::string> in_words(const app::Status& status, WallTime now, bool utf8);

/// Messages of each of the last 30 days, the oldest on the left: a column each, one eighth to eight eighths high, or
/// without UTF-8 a digit from 1 to 9, in proportion to the most; a dot for a day without any.
std::string chart(const std::vector<journal::Day>& days, bool utf8);

/// A line of `odmr status --json`.
ordered_json as_json(const app::ProviderStatus& status);
/// The last line: what is not of one provider.
ordered_json overall_json(const app::Status& status);

}  // namespace odmr::show
