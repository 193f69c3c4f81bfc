#include "cli/json.hpp"

#include <fmt/chrono.h>

#include "cli/process.hpp"

namespace odmr::cli {

void print_json(const ordered_json& object) {
  print_line(stdout, object.dump(-1, ' ', true, ordered_json::error_handler_t::replace));
}

std::string time_text(WallTime time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

}  // namespace odmr::cli
