#pragma once

#include <string>
#include <string_view>

namespace odmr::mail {

/// Makes the line ends of a message CRLF, in pieces of any size. What comes out never has a CR or an LF alone, which
/// nobody could send (RFC 5321 2.3.8) and which smugglers live by.
class LineEnds {
 public:
  /// What becomes of a CR without LF.
  enum class LoneCr {
    refuse,
    space,  ///< a space takes its place, as Postfix does: a cron job's progress bar must not cost its mail
  };
  explicit LineEnds(LoneCr lone_cr = LoneCr::refuse) : lone_cr_(lone_cr) {}

  /// Appends `bytes` to `out`, with CR before each LF that has none. Gives false at a CR without LF that is refused.
  bool pass(std::string_view bytes, std::string& out);
  /// Whether the message may end here: not behind a CR.
  bool may_end() const { return !after_cr_; }
  /// Appends the line end that the last line lacks.
  void finish(std::string& out);

 private:
  LoneCr lone_cr_;
  bool after_cr_ = false;  // it is not in `out` yet
  bool in_line_ = false;
};

/// Passes lines on until one that is "." alone, which ends a message on standard input. Every line ends in CRLF, the
/// last one too.
class LoneDot {
 public:
  /// Appends `bytes`, any piece of the message, to `out`, as far as it goes before that line.
  void pass(std::string_view bytes, std::string& out);
  /// Whether the line has gone by: whatever follows is not passed on.
  bool is_seen() const { return place_ == Place::over; }

 private:
  enum class Place { line_start, dot, dot_cr, rest, over };
  Place place_ = Place::line_start;
};

}  // namespace odmr::mail
