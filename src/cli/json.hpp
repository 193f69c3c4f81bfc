#pragma once

#include <nlohmann/json.hpp>

#include "base/clock.hpp"

namespace odmr::cli {

using nlohmann::ordered_json;

/// One object on a line of stdout. What strangers wrote need not be UTF-8.
void print_json(const ordered_json& object);

/// "2026-01-31T10:00:00Z"
std::string time_text(WallTime time);

}  // namespace odmr::cli
