#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "base/ascii.hpp"

// What the two files that read domains have in common.
namespace odmr::smtp {

inline constexpr std::size_t k_longest_domain = 255;  // RFC 5321 4.5.3.1.2
inline constexpr std::size_t k_longest_label = 63;

// A byte of a UTF-8 sequence (RFC 6531 3.3 adds UTF8-non-ascii wherever letters may stand).
constexpr bool is_high(char c) {
  return static_cast<unsigned char>(c) >= 0x80;
}

// The underscore is no letter of host names, but mail does come from such domains.
constexpr bool is_domain_letter(char c) {
  return is_alnum(c) || is_high(c) || c == '-' || c == '_' || c == '.';
}

inline bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= k_longest_label && is_alnum(label.front()) && is_alnum(label.back()) &&
         std::all_of(label.begin(), label.end(), [](char c) { return is_alnum(c) || c == '-'; });
}

// A host name of LDH labels (RFC 1123 2.1).
inline bool is_host_name(std::string_view name) {
  if (name.size() > k_longest_domain) return false;
  for (;;) {
    const std::size_t dot = std::min(name.find('.'), name.size());
    if (!is_label(name.substr(0, dot))) return false;
    if (dot == name.size()) return true;
    name.remove_prefix(dot + 1);
  }
}

}  // namespace odmr::smtp
