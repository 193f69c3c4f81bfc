#include "show/wrapped.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "show/print.hpp"

namespace odmr::show {

namespace {

// Columns, as far as letters have one each: what continues a UTF-8 sequence has none.
std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::vector<std::string> wrapped(const std::string& text, std::size_t width, std::size_t further) {
  const auto indent = std::min(text.find_first_not_of(' '), text.size());
  if (width == 0 || columns(text) <= width) return {text};
  std::vector<std::string> lines;
  std::string line = text.substr(0, indent);
  bool is_begun = false;
  for (std::size_t at = indent; at < text.size();) {
    const auto end = std::min(text.find(' ', at), text.size());
    const auto word = text.substr(at, end - at);
    if (is_begun && columns(line) + 1 + columns(word) > width) {
      lines.push_back(line);
      line = std::string(indent + further, ' ');
      is_begun = false;
    }
    line += (is_begun ? " " : "") + word;
    is_begun = true;
    at = std::min(end + 1, text.size());
  }
  lines.push_back(line);
  return lines;
}

std::size_t columns_of(std::FILE* terminal) {
  winsize size{};
  if (isatty(fileno(terminal)) == 0 || ioctl(fileno(terminal), TIOCGWINSZ, &size) != 0) return 0;
  return size.ws_col;
}

void print_wrapped(std::FILE* to, const std::string& lines, std::size_t further) {
  const auto width = columns_of(to);
  for (std::size_t at = 0; at <= lines.size();) {
    const auto end = std::min(lines.find('\n', at), lines.size());
    for (const auto& part : wrapped(lines.substr(at, end - at), width, further)) print_line(to, part);
    at = end + 1;
  }
}

}  // namespace odmr::show
