#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace odmr::mail {

/// Watches a message go by, in pieces, as far as its header goes: counts hops and keeps the header's first bytes.
/// Reads leniently what somebody else would take for a header: a lone LF ends a line here.
/// Memory is bounded by `keep`, whatever the header's size.
class HeaderWatch {
 public:
  /// `keep`: bytes of the header to remember, for a bounce.
  explicit HeaderWatch(std::size_t keep = std::size_t{64} * 1024) : keep_(keep) {}

  void see(std::string_view bytes);

  /// Received fields so far (RFC 5321 6.3).
  std::size_t hops() const { return hops_; }
  /// Whether the empty line, or a first line that is no header field, has gone by.
  bool is_over() const { return over_; }
  /// The header as it came, without the line that ends it, cut at `keep` bytes.
  const std::string& header() const { return header_; }

 private:
  // Where we are in a line: at its very start, in a field's name or the blanks after it, or where the rest of the line
  // does not matter any more.
  enum class Place { line_start, cr, name, before_colon, rest };

  std::size_t pass_rest(std::string_view bytes);
  void look_at(char c);
  void remember(std::string_view bytes);
  void end_header();

  std::size_t keep_;
  std::size_t hops_ = 0;
  bool over_ = false;
  bool has_field_ = false;  // so that a line may continue it
  Place place_ = Place::line_start;
  std::string name_;  // of the field, as much as tells "Received" apart
  std::string header_;
  std::size_t line_begin_ = 0;  // of the line in hand, in header_
};

}  // namespace odmr::mail
