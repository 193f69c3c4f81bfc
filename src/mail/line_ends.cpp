#include "mail/line_ends.hpp"

#include <algorithm>

namespace odmr::mail {

// A CR waits in after_cr_ until it is known what follows it.
bool LineEnds::pass(std::string_view bytes, std::string& out) {
  std::size_t newline = bytes.find('\n');
  for (std::size_t at = 0; at < bytes.size();) {
    if (after_cr_) {
      const bool is_line_end = bytes[at] == '\n';
      // after_cr_ stays: every further call says no, too.
      if (!is_line_end && lone_cr_ == LoneCr::refuse) return false;
      out += is_line_end ? "\r\n" : " ";
      in_line_ = !is_line_end;
      after_cr_ = false;
      if (is_line_end) newline = bytes.find('\n', ++at);
      continue;
    }
    const std::string_view line = bytes.substr(at, std::min(newline, bytes.size()) - at);
    const std::string_view text = line.substr(0, line.find('\r'));
    out += text;
    in_line_ = in_line_ || !text.empty();
    at += text.size();
    // An LF is met as if it stood behind the CR that it lacks.
    after_cr_ = at < bytes.size();
    if (after_cr_ && bytes[at] == '\r') ++at;
  }
  return true;
}

void LineEnds::finish(std::string& out) {
  if (after_cr_ || in_line_) out += "\r\n";
  after_cr_ = false;
  in_line_ = false;
}

void LoneDot::pass(std::string_view bytes, std::string& out) {
  while (!bytes.empty() && place_ != Place::over) {
    const char c = bytes.front();
    switch (place_) {
      case Place::line_start:
        place_ = c == '.' ? Place::dot : Place::rest;
        if (c == '.') bytes.remove_prefix(1);
        break;
      case Place::dot:
        if (c == '\r') {
          place_ = Place::dot_cr;
          bytes.remove_prefix(1);
        } else {
          out += '.';
          place_ = Place::rest;
        }
        break;
      case Place::dot_cr:  // a CR stands before LF alone
        place_ = Place::over;
        break;
      case Place::rest: {
        const auto newline = bytes.find('\n');
        const std::size_t length = newline == std::string_view::npos ? bytes.size() : newline + 1;
        out += bytes.substr(0, length);
        bytes.remove_prefix(length);
        if (newline != std::string_view::npos) place_ = Place::line_start;
        break;
      }
      case Place::over:
        break;
    }
  }
}

}  // namespace odmr::mail
