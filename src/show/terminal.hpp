#pragma once

#include <cstdio>
#include <string>

namespace odmr::show {

/// Whether the locale of the environment writes UTF-8.
bool speaks_utf8();

/// Whether it is a terminal that takes a line back.
bool can_erase(std::FILE* terminal);
/// A line that stands until it is erased.
void print_for_now(std::FILE* terminal, const std::string& line);
void erase_line(std::FILE* terminal);

}  // namespace odmr::show
