#include "smtp/chunk.hpp"

namespace odmr::smtp {

void ChunkWatch::see(std::string_view bytes) {
  if (bytes.empty()) return;
  // A CR at the end of the piece before belongs to the LF at the beginning of this one, or stands alone.
  if (after_cr_ != (bytes.front() == '\n')) stray_ = true;
  std::size_t line = after_cr_ && bytes.front() == '\n' ? 1 : 0;
  at_line_start_ = line == bytes.size();
  while (!stray_ && line < bytes.size()) {
    const auto lf = bytes.find('\n', line);
    const auto cr = bytes.find('\r', line);
    const bool is_last = lf == std::string_view::npos;
    // In the last piece of a line a CR may still have its LF to come.
    stray_ =
        is_last ? cr != std::string_view::npos && cr + 1 != bytes.size() : cr == std::string_view::npos || cr + 1 != lf;
    at_line_start_ = !is_last && lf + 1 == bytes.size();
    line = is_last ? bytes.size() : lf + 1;
  }
  after_cr_ = bytes.back() == '\r';
}

std::string_view ChunkWatch::finish() {
  if (after_cr_) stray_ = true;
  return at_line_start_ ? std::string_view() : std::string_view("\r\n");
}

}  // namespace odmr::smtp
