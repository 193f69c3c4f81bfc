#pragma once

#include <string_view>

namespace odmr::smtp {

/// Looks at the content of BDAT chunks (RFC 3030), in any pieces. It may be anything; what goes on by DATA has to end
/// in CRLF, and has CR and LF only together.
class ChunkWatch {
 public:
  /// A next piece.
  void see(std::string_view bytes);
  /// All has been seen. Gives what is missing at the end: CRLF where there is a last line without it, else nothing.
  std::string_view finish();

  /// A CR without LF, or an LF without CR, was seen. A CR at the end of what was seen counts once finish() was called.
  bool has_stray_newline() const { return stray_; }

 private:
  bool at_line_start_ = true;
  bool after_cr_ = false;
  bool stray_ = false;
};

}  // namespace odmr::smtp
