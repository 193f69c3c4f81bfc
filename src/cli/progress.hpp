#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "receive/reception.hpp"

namespace odmr::cli {

/// One line on a terminal's stderr that follows the mail as it comes in. Shows nothing where stderr is no terminal.
class ProgressLine {
 public:
  explicit ProgressLine(bool wanted);
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  /// Whether it would show anything.
  bool is_shown() const { return wanted_; }
  void show(const std::string& provider, const receive::Tally& tally, std::uint64_t bytes_under_way);
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
  std::map<std::string, State> providers_;
};

}  // namespace odmr::cli
