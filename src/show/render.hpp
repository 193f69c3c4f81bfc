#pragma once

#include <string>

#include "app/session_account.hpp"

namespace odmr::show {

/// One session as `odmr run --json` prints it, without a line end.
std::string as_json(const app::SessionReport& report);

/// One session in words, on one line, for people.
std::string in_words(const app::SessionReport& report);

/// "12.3 KiB"
std::string human_size(std::uint64_t bytes);
/// "3 messages", "1 message"
std::string counted(std::uint64_t count, const std::string& noun);

}  // namespace odmr::show
