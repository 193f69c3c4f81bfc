#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace odmr::smtp {

/// RFC 3463: class.subject.detail.
struct EnhancedCode {
  int status = 0;
  int subject = 0;
  int detail = 0;
  friend bool operator==(const EnhancedCode&, const EnhancedCode&) = default;
};

/// A reply (RFC 5321 4.2): three digits and at least one line of text, without code, separator and CRLF.
struct Reply {
  int code = 0;
  std::vector<std::string> lines;

  Reply() = default;
  Reply(int reply_code, std::string text) : code(reply_code), lines{std::move(text)} {}
  Reply(int reply_code, std::vector<std::string> text) : code(reply_code), lines(std::move(text)) {}

  bool is_positive() const { return code >= 200 && code < 300; }
  bool is_intermediate() const { return code >= 300 && code < 400; }
  bool is_transient() const { return code >= 400 && code < 500; }
  bool is_permanent() const { return code >= 500 && code < 600; }

  /// The enhanced code that the first line begins with; none where its class and the code's first digit differ.
  std::optional<EnhancedCode> enhanced() const;
  /// "250 line line", the lines joined by spaces: for logs and `--json`.
  std::string joined() const;

  friend bool operator==(const Reply&, const Reply&) = default;
};

/// A refusal for good as one for now, its enhanced code too (soft_bounce); any other reply as it is.
Reply softened(Reply reply);

/// The bytes of a reply. Control characters in the text become '?', and a line is cut at 510 bytes: whatever a text
/// was taken from, it stays one line.
std::string format(const Reply& reply);

struct ReplyLimits {
  std::size_t line = 4096;                     ///< bytes, CRLF included
  std::size_t lines = 128;                     ///< of one reply
  std::size_t total = std::size_t{64} * 1024;  ///< bytes of one reply
};

/// Bytes to replies, fed in any pieces. A line may end in CRLF or, as clients have always put up with, in LF.
/// After an error the stream is out of step and the parser must not be used again.
class ReplyParser {
 public:
  explicit ReplyParser(ReplyLimits limits = {}) : limits_(limits) {}

  struct Progress {
    std::size_t consumed = 0;    ///< of the bytes given: never beyond the end of the reply
    std::optional<Reply> reply;  ///< set when it is complete
  };

  /// Errors: malformed (not a reply, codes that change between lines, a code outside 200–599), too_long.
  Result<Progress> feed(std::string_view bytes);
  /// Whether a reply has been begun and not ended.
  bool is_inside() const { return !line_.empty() || !reply_.lines.empty(); }

 private:
  Result<bool> take_line();

  ReplyLimits limits_;
  std::string line_;
  Reply reply_;
  std::size_t total_ = 0;
};

}  // namespace odmr::smtp
