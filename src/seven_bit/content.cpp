#include "seven_bit/content.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace odmr::seven_bit {

namespace {

// Follows UTF-8 byte by byte (RFC 3629 4).
class Utf8Watch {
 public:
  void see(unsigned char c) {
    if (missing_ > 0) {
      if (c < low_ || c > high_) is_good_ = false;
      low_ = 0x80;
      high_ = 0xBF;
      --missing_;
    } else if (c >= 0x80) {
      begin(c);
    }
  }
  bool is_good() const { return is_good_ && missing_ == 0; }

 private:
  void begin(unsigned char c) {
    if (c >= 0xC2 && c <= 0xDF)
      missing_ = 1;
    else if (c >= 0xE0 && c <= 0xEF)
      missing_ = 2;
    else if (c >= 0xF0 && c <= 0xF4)
      missing_ = 3;
    else
      is_good_ = false;
    // No longer form of a shorter one, no surrogate, nothing beyond the last code point.
    if (c == 0xE0) low_ = 0xA0;
    if (c == 0xED) high_ = 0x9F;
    if (c == 0xF0) low_ = 0x90;
    if (c == 0xF4) high_ = 0x8F;
  }

  bool is_good_ = true;
  int missing_ = 0;
  unsigned char low_ = 0x80;
  unsigned char high_ = 0xBF;
};

}  // namespace

Source::Source(int file) : file_(file) {
  struct stat status {};
  if (::fstat(file, &status) != 0) throw InputOutputError(std::strerror(errno));
  size_ = static_cast<std::uint64_t>(status.st_size);
}

std::size_t Source::read_at(Range range, char* into) const {
  const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(k_piece, range.size()));
  for (;;) {
    const ssize_t count = ::pread(file_, into, most, static_cast<off_t>(range.begin));
    if (count > 0) return static_cast<std::size_t>(count);
    if (count == 0) throw InputOutputError("the message became shorter");
    if (errno != EINTR) throw InputOutputError(std::strerror(errno));
  }
}

std::string Source::text(Range range) const {
  std::string out;
  read(range, [&](std::string_view piece) { out += piece; });
  return out;
}

Content look_at(const Source& source, Range range) {
  Content content;
  Utf8Watch utf8;
  char last = 0;
  source.read(range, [&](std::string_view piece) {
    for (const char c : piece) {
      if (static_cast<unsigned char>(c) >= 0x80) content.has_high = true;
      if (c == '\0' || (c == '\n') != (last == '\r')) content.has_lines_only = false;
      utf8.see(static_cast<unsigned char>(c));
      last = c;
    }
  });
  if (last == '\r') content.has_lines_only = false;
  content.is_utf8 = utf8.is_good();
  return content;
}

}  // namespace odmr::seven_bit
