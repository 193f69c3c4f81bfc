#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace odmr::show {

/// What the line says, in less than `width` columns: where there is no room the rate goes first, then the names, which
/// are cut between letters, and controls in them escaped. It is one line whatever the terminal's locale.
std::string progress_text(const std::string& names, std::uint64_t messages, std::uint64_t bytes, std::uint64_t rate,
                          std::size_t width);

/// One line on a terminal's stderr that follows the mail as it comes in and goes out. Shows nothing where stderr is no
/// terminal.
class ProgressLine {
 public:
  explicit ProgressLine(bool wanted);
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Whether it would show anything.
  bool is_shown() const { return wanted_; }
  /// `name` is a provider's, or says that mail goes out.
  void show(const std::string& name, std::uint64_t messages, std::uint64_t bytes);
  /// Wipes the line: something else is about to be written.
  void clear();

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct State {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
  };

  bool wanted_;
  bool shown_ = false;
  Time begun_;
  Time last_;
  std::map<std::string, State> directions_;
};

}  // namespace odmr::show
