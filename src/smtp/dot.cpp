#include "smtp/dot.hpp"

#include <utility>

#include "smtp/pairs.hpp"

namespace odmr::smtp {

namespace {

// In most messages there is neither.
constexpr auto is_remarkable = [](char before, char c) {
  return static_cast<bool>(static_cast<int>(is_half_newline(before, c)) |
                           static_cast<int>(is_dot_behind_newline(before, c)));
};

// What is left of a text: a single run of it stays where it is, several are put together.
class Runs {
 public:
  explicit Runs(std::string& room) : room_(room) { room_.clear(); }

  void add(std::string_view run) {
    if (run.empty()) return;
    if (only_.empty() && room_.empty()) {
      only_ = run;
      return;
    }
    room_.append(std::exchange(only_, {}));
    room_.append(run);
  }
  std::string_view all() const { return room_.empty() ? only_ : std::string_view(room_); }

 private:
  std::string& room_;
  std::string_view only_;  // while there is no other
};

}  // namespace

// --- off the wire

DotDecoder::Progress DotDecoder::decode(std::string_view bytes, std::string& out) {
  return each_run(bytes, [&out](std::string_view run) { out.append(run); });
}

DotDecoder::View DotDecoder::decode_in_place(std::string_view bytes, std::string& room) {
  Runs runs(room);
  const Progress progress = each_run(bytes, [&runs](std::string_view run) { runs.add(run); });
  return {progress, runs.all()};
}

// Everything between a CRLF "." and the next one is taken in one piece: `kept` is where the piece begins that is
// certain and not yet taken. Only bytes after a newline are looked at one by one.
template <class Take>
DotDecoder::Progress DotDecoder::each_run(std::string_view bytes, Take take) {
  std::size_t at = 0;
  std::size_t kept = 0;
  while (at < bytes.size()) {
    const char c = bytes[at];
    switch (state_) {
      case State::line_start:
        if (c == '.') {
          take(bytes.substr(kept, at - kept));
          kept = ++at;
          state_ = State::dot;
        } else {
          state_ = State::text;
        }
        break;
      case State::text:
        at = pass_text(bytes, at);
        break;
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
        if (at == 0) take(std::string_view("\r"));
        state_ = State::cr;
        break;
    }
  }
  // A CR that may yet prove to belong to the end of the message waits for what follows it.
  const std::size_t waiting = state_ == State::dot_cr ? 1 : 0;
  if (at > kept + waiting) take(bytes.substr(kept, at - kept - waiting));
  return {at, false};
}

// To a dot that begins a line, or to the end. Here the byte before `at` is no CR of an earlier piece: State::cr has
// dealt with that.
std::size_t DotDecoder::pass_text(std::string_view bytes, std::size_t at) {
  // A lone LF is text like any other: only CRLF ends a line (RFC 5321 2.3.8).
  if (at == 0) {
    stray_ = stray_ || bytes.front() == '\n';
    ++at;
  }
  for (at = find_pair(bytes, at, is_remarkable); at < bytes.size(); at = find_pair(bytes, at + 1, is_remarkable)) {
    if (!is_dot_behind_newline(bytes[at - 1], bytes[at])) {
      stray_ = true;
    } else if (ends_newline(bytes, at, false)) {
      state_ = State::line_start;
      return at;
    }
  }
  if (bytes.back() == '\r')
    state_ = State::cr;
  else if (ends_newline(bytes, at, false))
    state_ = State::line_start;
  return at;
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

// --- onto the wire

void DotEncoder::encode(std::string_view bytes, std::string& out) {
  each_run(bytes, [&out](std::string_view run) { out.append(run); });
}

std::string_view DotEncoder::encode_in_place(std::string_view bytes, std::string& room) {
  Runs runs(room);
  each_run(bytes, [&runs](std::string_view run) { runs.add(run); });
  return runs.all();
}

// Each run but the first begins with a dot, with which the one before ends: so it is there twice.
template <class Take>
void DotEncoder::each_run(std::string_view bytes, Take take) {
  if (bytes.empty()) return;
  if (at_line_start_ && bytes.front() == '.') take(bytes.substr(0, 1));
  std::size_t begin = 0;
  for (std::size_t dot = find_pair(bytes, 1, is_dot_behind_newline); dot < bytes.size();
       dot = find_pair(bytes, dot + 1, is_dot_behind_newline)) {
    if (!ends_newline(bytes, dot, after_cr_)) continue;
    take(bytes.substr(begin, dot + 1 - begin));
    begin = dot;
  }
  take(bytes.substr(begin));
  at_line_start_ = ends_newline(bytes, bytes.size(), after_cr_);
  after_cr_ = bytes.back() == '\r';
}

void DotEncoder::finish(std::string& out) {
  out += at_line_start_ ? ".\r\n" : "\r\n.\r\n";
  at_line_start_ = true;
  after_cr_ = false;
}

}  // namespace odmr::smtp
