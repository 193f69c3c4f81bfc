#pragma once

#include <nlohmann/json.hpp>
#include <optional>
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

/// null for none.
ordered_json time_or_null(const std::optional<WallTime>& time);
/// A stranger's words, escaped; null for an empty text.
ordered_json text_or_null(const std::string& text);

}  // namespace odmr::show
