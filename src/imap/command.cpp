#include "imap/command.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace odmr::imap {

namespace {

constexpr std::size_t k_longest_set = 1000;
constexpr std::string_view k_base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

// The next character of a text that is UTF-8.
char32_t take_character(std::string_view& text) {
  const auto first = static_cast<unsigned char>(text.front());
  const std::size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  char32_t character = length == 1 ? first : first & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length && i < text.size(); ++i)
    character = (character << 6U) | (static_cast<unsigned char>(text[i]) & 0x3fU);
  text.remove_prefix(std::min(length, text.size()));
  return character;
}

// Bits in, characters of base64 out.
class Shifted {
 public:
  void add(char16_t unit, std::string& out) {
    bits_ = (bits_ << 16U) | unit;
    for (count_ += 16; count_ >= 6; count_ -= 6) out += k_base64[(bits_ >> (count_ - 6)) & 0x3fU];
    bits_ &= (1U << count_) - 1;
  }
  void finish(std::string& out) {
    if (count_ > 0) out += k_base64[(bits_ << (6 - count_)) & 0x3fU];
    bits_ = count_ = 0;
  }

 private:
  std::uint32_t bits_ = 0;
  unsigned count_ = 0;
};

}  // namespace

Result<std::string> quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (is_control(c) || static_cast<unsigned char>(c) >= 0x80)
      return fail(Errc::malformed, "a control character, or one outside ASCII, cannot be sent in a quoted string");
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string mailbox_name(std::string_view utf8) {
  std::string out;
  while (!utf8.empty()) {
    const char c = utf8.front();
    if (c >= 0x20 && c < 0x7f) {
      out += c;
      if (c == '&') out += '-';
      utf8.remove_prefix(1);
      continue;
    }
    out += '&';
    Shifted shifted;
    while (!utf8.empty() && !(utf8.front() >= 0x20 && utf8.front() < 0x7f)) {
      const char32_t character = take_character(utf8);
      if (character >= 0x10000) {
        shifted.add(static_cast<char16_t>(0xd800 + ((character - 0x10000) >> 10U)), out);
        shifted.add(static_cast<char16_t>(0xdc00 + ((character - 0x10000) & 0x3ffU)), out);
      } else {
        shifted.add(static_cast<char16_t>(character), out);
      }
    }
    shifted.finish(out);
    out += '-';
  }
  return out;
}

std::string next_set(const std::vector<std::uint32_t>& numbers, std::size_t& begin) {
  std::string set;
  while (begin < numbers.size() && set.size() < k_longest_set - 24) {
    std::size_t last = begin;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    set += (set.empty() ? "" : ",") + std::to_string(numbers[begin]);
    if (last > begin) set += ":" + std::to_string(numbers[last]);
    begin = last + 1;
  }
  return set;
}

}  // namespace odmr::imap
