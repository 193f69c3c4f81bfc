#include "show/json.hpp"

#include <fmt/chrono.h>

#include "base/ascii.hpp"
#include "show/print.hpp"

namespace odmr::show {

std::string line_of_json(const ordered_json& object) {
  return object.dump(-1, ' ', true, ordered_json::error_handler_t::replace);
}

void print_json(const ordered_json& object) {
  print_line(stdout, line_of_json(object));
}

std::string time_text(WallTime time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

ordered_json time_or_null(const std::optional<WallTime>& time) {
  return time ? ordered_json(time_text(*time)) : ordered_json(nullptr);
}

ordered_json text_or_null(const std::string& text) {
  return text.empty() ? ordered_json(nullptr) : ordered_json(escape(text, 2000));
}

}  // namespace odmr::show
