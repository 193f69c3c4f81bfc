#include "show/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "show/render.hpp"

namespace odmr::show {

namespace {

constexpr auto k_between_lines = std::chrono::milliseconds(100);

bool is_capable_terminal() {
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

std::size_t columns() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

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
  std::string line =
      fmt::format("{}: {}, {}, {}/s", names, counted(all.messages, "message"), human_size(all.bytes), human_size(rate));
  line.resize(std::min(line.size(), columns() - 1));
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
