#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Letters as protocols know them: ASCII only, whatever the locale says.
namespace odmr {

constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
constexpr char to_upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_alpha(char c) {
  return to_lower(c) >= 'a' && to_lower(c) <= 'z';
}
constexpr bool is_alnum(char c) {
  return is_digit(c) || is_alpha(c);
}
/// C0 controls and DEL.
constexpr bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string lower(std::string_view text);
std::string upper(std::string_view text);
bool equals_ignoring_case(std::string_view a, std::string_view b);
bool starts_with_ignoring_case(std::string_view text, std::string_view prefix);
/// Without spaces and tabs at both ends.
std::string_view trim(std::string_view text);
/// A decimal number and nothing else; no value on overflow, sign, space or an empty text.
std::optional<std::uint64_t> parse_number(std::string_view text);
bool is_ascii(std::string_view text);
bool is_utf8(std::string_view text);

/// A stranger's words made fit for a log line or a terminal: controls and invalid UTF-8 become \xNN, a backslash stays;
/// text beyond `limit` bytes is cut and ends in "…".
std::string escape(std::string_view untrusted, std::size_t limit = 400);

}  // namespace odmr
