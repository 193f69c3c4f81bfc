#include "smtp/chunk.hpp"

#include "smtp/pairs.hpp"

namespace odmr::smtp {

void ChunkWatch::see(std::string_view bytes) {
  if (bytes.empty()) return;
  // A CR at the end of the piece before belongs to the LF at the beginning of this one, or stands alone.
  if (after_cr_ != (bytes.front() == '\n')) stray_ = true;
  if (!stray_) stray_ = find_pair(bytes, 1, is_half_newline) < bytes.size();
  at_line_start_ = ends_newline(bytes, bytes.size(), after_cr_);
  after_cr_ = bytes.back() == '\r';
}

std::string_view ChunkWatch::finish() {
  if (after_cr_) stray_ = true;
  return at_line_start_ ? std::string_view() : std::string_view("\r\n");
}

}  // namespace odmr::smtp
