#pragma once

#include <optional>
#include <string_view>

#include "app/explain.hpp"

namespace odmr::show {

/// A line as the log writes it (base/log.hpp), in either format, also where journald or syslog have put their own words
/// in front. No value for anything else.
std::optional<app::TraceLine> read_trace_line(std::string_view line);

/// Tells the explainer of a line of a trace, or of what `odmr run` has printed among them. Gives whether it was one.
bool take_trace_line(std::string_view line, app::Explainer& explainer);

}  // namespace odmr::show
