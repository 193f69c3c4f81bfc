#include "show/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "base/ascii.hpp"
#include "show/render.hpp"
#include "show/wrapped.hpp"

namespace odmr::show {

namespace {

constexpr auto k_between_lines = std::chrono::milliseconds(100);

bool is_capable_terminal() {
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

std::size_t columns() {
  const auto known = columns_of(stderr);
  return known == 0 ? 80 : known;
}

// A letter outside ASCII may be two columns wide: it counts as such.
std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 0x80)
      width += 1;
    else if (octet >= 0xc0)
      width += 2;
  }
  return width;
}

bool continues_letter(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

// Without what is beyond `width` columns.
std::string cut(std::string text, std::size_t width) {
  while (width_of(text) > width) {
    while (!text.empty() && continues_letter(text.back())) text.pop_back();
    if (!text.empty()) text.pop_back();
  }
  return text;
}

}  // namespace

std::string progress_text(const std::string& names, std::uint64_t messages, std::uint64_t bytes, std::uint64_t rate,
                          std::size_t width) {
  // The last column stays empty: some terminals wrap once it is written.
  const std::size_t room = width > 0 ? width - 1 : 0;
  std::string counts = fmt::format("{}, {}", counted(messages, "message"), human_size(bytes));
  const auto rated = fmt::format("{}, {}/s", counts, human_size(rate));
  const auto begin = escape(names);
  const auto fits = [&](const std::string& text) { return width_of(begin) + 2 + text.size() <= room; };
  if (fits(rated)) return begin + ": " + rated;
  if (fits(counts)) return begin + ": " + counts;
  constexpr std::size_t k_least_name = 4;
  if (counts.size() + 2 + k_least_name <= room) return cut(begin, room - 2 - counts.size()) + ": " + counts;
  return cut(std::move(counts), room);
}

ProgressLine::ProgressLine(bool wanted)
    : wanted_(wanted && is_capable_terminal()), begun_(std::chrono::steady_clock::now()), last_(begun_) {}

void ProgressLine::show(const std::string& name, std::uint64_t messages, std::uint64_t bytes) {
  if (!wanted_) return;
  directions_[name] = State{messages, bytes};
  const auto now = std::chrono::steady_clock::now();
  if (now - last_ < k_between_lines) return;
  last_ = now;

  State all;
  std::string names;
  for (const auto& [one, state] : directions_) {
    all.messages += state.messages;
    all.bytes += state.bytes;
    names += (names.empty() ? "" : ", ") + one;
  }
  const double seconds = std::max(0.1, std::chrono::duration<double>(now - begun_).count());
  const auto rate = static_cast<std::uint64_t>(static_cast<double>(all.bytes) / seconds);
  const auto line = progress_text(names, all.messages, all.bytes, rate, columns());
  fmt::print(stderr, "\r{}\x1b[K", line);
  std::fflush(stderr);
  shown_ = true;
}

void ProgressLine::clear() {
  if (!shown_) return;
  shown_ = false;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
}

}  // namespace odmr::show
