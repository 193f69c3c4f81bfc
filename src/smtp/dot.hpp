#pragma once

#include <string>
#include <string_view>

namespace odmr::smtp {

/// The content of DATA off the wire (RFC 5321 4.5.2), in any pieces. Only CRLF "." CRLF ends it; that the first line
/// is "." counts too, since CRLF came before it with the command. What comes out is the message as it was before
/// dot-stuffing, its last CRLF included.
class DotDecoder {
 public:
  struct Progress {
    std::size_t consumed = 0;  ///< of the bytes given: never beyond the end of the message
    bool ended = false;
  };
  /// Appends to `out` what became certain. Must not be called again after the end.
  Progress decode(std::string_view bytes, std::string& out);

  struct View : Progress {
    std::string_view content;  ///< what became certain
  };
  /// The same without a copy where nothing had to be taken out: `content` is in `bytes` then, and else in `room`, whose
  /// content is lost.
  View decode_in_place(std::string_view bytes, std::string& room);

  /// A CR without LF, or an LF without CR, was seen: somebody may be smuggling (CVE-2023-51764).
  bool has_stray_newline() const { return stray_; }

 private:
  enum class State { line_start, text, cr, dot, dot_cr };
  template <class Take>
  Progress each_run(std::string_view bytes, Take take);
  std::size_t pass_text(std::string_view bytes, std::size_t at);

  State state_ = State::line_start;
  bool stray_ = false;
};

/// Puts a space in the place of each CR without LF and each LF without CR, in pieces of any size, so that no next hop
/// can see a line end where there is none (Postfix: cleanup_replace_stray_cr_lf). The size stays the same. A message
/// that ends in CRLF, as all from DotDecoder do, comes out whole.
class NewlineMender {
 public:
  /// Appends to `out` what is certain of `bytes`, a next piece.
  void mend(std::string_view bytes, std::string& out);
  /// The same of what was held back: for a message that does not end in CRLF.
  void finish(std::string& out);

 private:
  bool after_cr_ = false;  // it is not in `out` yet
};

/// A message onto the wire: leading dots doubled. The message must have CRLF line ends only; the encoder adds none
/// but a missing last one.
class DotEncoder {
 public:
  /// Appends the encoded form of `bytes`, a next piece of the message, to `out`.
  void encode(std::string_view bytes, std::string& out);
  /// The same without a copy where nothing had to be doubled: what it gives is `bytes` then, and else in `room`, whose
  /// content is lost.
  std::string_view encode_in_place(std::string_view bytes, std::string& room);
  /// Appends CRLF where the last line has none, and the final "." CRLF.
  void finish(std::string& out);

 private:
  template <class Take>
  void each_run(std::string_view bytes, Take take);

  bool at_line_start_ = true;
  bool after_cr_ = false;
};

}  // namespace odmr::smtp
