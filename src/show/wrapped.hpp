#pragma once

#include <cstdio>
#include <string>
#include <vector>

namespace odmr::show {

/// `text` in lines of `width` columns at most, broken between words, those behind the first as far in as the text and
/// `further`; a word that is longer stays whole. 0: one line.
std::vector<std::string> wrapped(const std::string& text, std::size_t width, std::size_t further = 0);

/// How wide the terminal is; 0 where it is none.
std::size_t columns_of(std::FILE* terminal);

/// A line, or several, broken so where `to` is a terminal.
void print_wrapped(std::FILE* to, const std::string& lines, std::size_t further = 0);

}  // namespace odmr::show
