#pragma once

#include <cstdio>
#include <string>

namespace odmr::show {

/// A line to stdout or stderr. What cannot be written there (a closed pipe, a full disk) is lost and changes nothing:
/// mail that is under way is worth more than a word about it.
void print_line(std::FILE* to, const std::string& line);

}  // namespace odmr::show
