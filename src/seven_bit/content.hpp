#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace odmr::seven_bit {

/// A system call failed: nothing that is known about the message is worth anything.
struct InputOutputError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A range of the message, in bytes from its beginning.
struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t size() const { return end - begin; }
};

/// The message in its file, read in any order.
class Source {
 public:
  /// `file` stays the caller's.
  explicit Source(int file);

  int file() const { return file_; }
  std::uint64_t size() const { return size_; }

  /// Calls `see(std::string_view)` for the bytes of the range, piece by piece.
  template <class See>
  void read(Range range, See see) const {
    std::array<char, k_piece> piece{};
    while (range.begin < range.end) {
      const std::size_t count = read_at(range, piece.data());
      see(std::string_view(piece.data(), count));
      range.begin += count;
    }
  }
  /// A short range as text.
  std::string text(Range range) const;

 private:
  static constexpr std::size_t k_piece = std::size_t{64} * 1024;
  std::size_t read_at(Range range, char* into) const;

  int file_;
  std::uint64_t size_ = 0;
};

/// What a part's content holds, as far as it decides how to encode it.
struct Content {
  bool has_high = false;       ///< a byte beyond ASCII
  bool has_lines_only = true;  ///< no NUL, and no CR or LF but as CRLF: text as quoted-printable can say it
  bool is_utf8 = true;
};
Content look_at(const Source& source, Range range);

}  // namespace odmr::seven_bit
