#include "smtp/dot.hpp"

#include <algorithm>
#include <utility>

namespace odmr::smtp {

// Everything between a CRLF "." and the next one is copied in one piece: `kept` is where the piece begins that is
// certain and not yet copied. Only bytes after a newline are looked at one by one.
DotDecoder::Progress DotDecoder::decode(std::string_view bytes, std::string& out) {
  std::size_t at = 0;
  std::size_t kept = 0;
  while (at < bytes.size()) {
    const char c = bytes[at];
    switch (state_) {
      case State::line_start:
        if (c == '.') {
          out.append(bytes, kept, at - kept);
          kept = ++at;
          state_ = State::dot;
        } else {
          state_ = State::text;
        }
        break;
      case State::text: {
        const std::size_t cr = std::min(bytes.find('\r', at), bytes.size());
        const std::string_view run = bytes.substr(at, cr - at);
        // A lone LF is text like any other: only CRLF ends a line (RFC 5321 2.3.8).
        stray_ = stray_ || run.find('\n') != std::string_view::npos;
        at = cr;
        if (at < bytes.size()) {
          ++at;
          state_ = State::cr;
        }
        break;
      }
      case State::cr:
        if (c == '\n') {
          ++at;
          state_ = State::line_start;
        } else {
          stray_ = true;
          state_ = State::text;  // which takes a further CR as the beginning of a newline again
        }
        break;
      case State::dot:
        if (c == '\r') {
          ++at;
          state_ = State::dot_cr;
        } else {
          state_ = State::text;
        }
        break;
      case State::dot_cr:
        if (c == '\n') return {at + 1, true};
        // Not the end: the dot was there to be removed (4.5.2), and the CR is text. It is in `bytes`, and kept,
        // unless it came with an earlier piece.
        if (at == 0) out += '\r';
        state_ = State::cr;
        break;
    }
  }
  // A CR that may yet prove to belong to the end of the message waits for what follows it.
  const std::size_t waiting = state_ == State::dot_cr ? 1 : 0;
  if (at > kept + waiting) out.append(bytes, kept, at - kept - waiting);
  return {at, false};
}

void NewlineMender::mend(std::string_view bytes, std::string& out) {
  for (const char c : bytes) {
    const bool is_newline = after_cr_ && c == '\n';
    if (after_cr_) out += is_newline ? '\r' : ' ';
    after_cr_ = c == '\r';
    if (!after_cr_) out += c == '\n' && !is_newline ? ' ' : c;
  }
}

void NewlineMender::finish(std::string& out) {
  if (std::exchange(after_cr_, false)) out += ' ';
}

void DotEncoder::encode(std::string_view bytes, std::string& out) {
  if (bytes.empty()) return;
  if (at_line_start_ && bytes.front() == '.') out += '.';
  std::size_t kept = 0;
  bool ends_in_newline = false;
  for (std::size_t lf = bytes.find('\n'); lf != std::string_view::npos; lf = bytes.find('\n', lf + 1)) {
    const bool newline = lf > 0 ? bytes[lf - 1] == '\r' : after_cr_;
    if (!newline) continue;
    ends_in_newline = lf + 1 == bytes.size();
    if (!ends_in_newline && bytes[lf + 1] == '.') {
      out.append(bytes, kept, lf + 1 - kept);
      out += '.';
      kept = lf + 1;
    }
  }
  out.append(bytes, kept);
  at_line_start_ = ends_in_newline;
  after_cr_ = bytes.back() == '\r';
}

void DotEncoder::finish(std::string& out) {
  out += at_line_start_ ? ".\r\n" : "\r\n.\r\n";
  at_line_start_ = true;
  after_cr_ = false;
}

}  // namespace odmr::smtp
