#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/clock.hpp"

namespace odmr::show {

using nlohmann::ordered_json;

/// The object on one line. What strangers wrote need not be UTF-8.
std::string line_of_json(const ordered_json& object);
/// The same to stdout.
void print_json(const ordered_json& object);

/// "2026-01-31T10:00:00Z"
std::string time_text(WallTime time);

}  // namespace odmr::show
