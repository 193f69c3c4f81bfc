#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace odmr::mail {

/// A field of a header, all its lines. It points into the header.
struct Field {
  std::string_view name;  ///< as written, without the blanks that may stand before the colon (RFC 5322 4.5)
  std::string_view raw;   ///< the whole field to the byte, line ends included; the last line may lack its end
  std::string_view body;  ///< what is behind the colon, still folded, without the last line end

  bool is(std::string_view wanted) const;
  /// Whether its name is one of these, in any case.
  bool is_one_of(std::initializer_list<std::string_view> wanted) const;
  /// The body unfolded (RFC 5322 2.2.3: line ends taken out, blanks kept) and trimmed.
  std::string value() const;
};

/// Goes through a header field by field. Reads leniently, as HeaderWatch does: a lone LF ends a line too. Never copies,
/// and gives every byte of the header either in a field's `raw` or in rest().
class FieldReader {
 public:
  explicit FieldReader(std::string_view header) : rest_(header) {}

  /// No value at the header's end: its last byte, the empty line, or a line that is no field.
  std::optional<Field> next();
  /// What the fields so far have left: at the end, the empty line and all behind it, where there is such.
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

/// Each field in turn, as FieldReader gives them.
template <class Visit>
void for_each_field(std::string_view header, Visit visit) {
  FieldReader reader(header);
  for (auto field = reader.next(); field; field = reader.next()) visit(*field);
}

/// Without "From anna@home.example Sat Jan 31 …" in front of the header, or the same behind ">": lines of a mailbox
/// file, which some give with a message.
std::string_view without_mailbox_lines(std::string_view header);

/// The first field of that name.
std::optional<Field> find_field(std::string_view header, std::string_view name);

}  // namespace odmr::mail
