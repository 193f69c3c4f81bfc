#include "mail/fields.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace odmr::mail {

namespace {

// ftext (RFC 5322 3.6.8)
constexpr bool is_name_letter(char c) {
  return c > ' ' && c < 0x7f && c != ':';
}
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

std::string_view first_line(std::string_view text) {
  const auto newline = text.find('\n');
  return text.substr(0, newline == std::string_view::npos ? newline : newline + 1);
}

std::string_view without_line_end(std::string_view line) {
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

// The length of the field's name at the beginning of a line; 0 where the line begins no field.
std::size_t name_length(std::string_view line) {
  const auto* const end = std::find_if_not(line.begin(), line.end(), is_name_letter);
  const auto* const colon = std::find_if_not(end, line.end(), is_blank);
  return colon != line.end() && *colon == ':' ? static_cast<std::size_t>(end - line.begin()) : 0;
}

}  // namespace

bool Field::is(std::string_view wanted) const {
  return equals_ignoring_case(name, wanted);
}

bool Field::is_one_of(std::initializer_list<std::string_view> wanted) const {
  return std::any_of(wanted.begin(), wanted.end(), [this](std::string_view one) { return is(one); });
}

std::string Field::value() const {
  std::string out;
  for (std::string_view left = body; !left.empty();) {
    const auto line = first_line(left);
    out += without_line_end(line);
    left.remove_prefix(line.size());
  }
  return std::string(trim(out));
}

std::optional<Field> FieldReader::next() {
  auto line = first_line(rest_);
  Field field;
  field.name = rest_.substr(0, name_length(line));
  if (field.name.empty()) return std::nullopt;
  std::size_t length = line.size();
  while (length < rest_.size() && is_blank(rest_[length])) length += first_line(rest_.substr(length)).size();
  field.raw = rest_.substr(0, length);
  field.body = without_line_end(field.raw.substr(field.raw.find(':') + 1));
  rest_.remove_prefix(length);
  return field;
}

std::string_view without_mailbox_lines(std::string_view header) {
  while (header.starts_with("From ") || header.starts_with(">From ")) {
    header.remove_prefix(first_line(header).size());
  }
  return header;
}

std::optional<Field> find_field(std::string_view header, std::string_view name) {
  FieldReader reader(header);
  for (auto field = reader.next(); field; field = reader.next()) {
    if (field->is(name)) return field;
  }
  return std::nullopt;
}

}  // namespace odmr::mail
