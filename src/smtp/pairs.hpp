#pragma once

#include <cstddef>
#include <string_view>

// Where lines end, and what stands behind: found by looking at pairs of bytes, many at a time.
namespace odmr::smtp {

// Closures, so that find_pair() is made for each: a pointer to a function it would call for each byte.

/// A CR without LF, or an LF without CR.
inline constexpr auto is_half_newline = [](char before, char c) { return (before == '\r') != (c == '\n'); };

/// A dot that may begin a line.
inline constexpr auto is_dot_behind_newline = [](char before, char c) {
  return static_cast<bool>(static_cast<int>(before == '\n') & static_cast<int>(c == '.'));
};

/// The first place from `at` on (not 0) whose byte and the one before are such a pair, or the end. The inner loop has
/// no branches and a fixed length, so that compilers make it one of vectors: many bytes in the time of one.
template <class Is>
std::size_t find_pair(std::string_view bytes, std::size_t at, Is is) {
  constexpr std::size_t k_block = 64;
  for (; bytes.size() - at >= k_block; at += k_block) {
    const char* const block = bytes.data() + at;
    char any = 0;
    for (std::size_t i = 0; i < k_block; ++i) any |= static_cast<char>(is(*(block + i - 1), block[i]));
    if (any != 0) break;
  }
  while (at < bytes.size() && !is(bytes[at - 1], bytes[at])) ++at;
  return at;
}

/// Whether a newline ends before `at`, which is not 0: all of it in `bytes`, or its CR was the last byte before them.
inline bool ends_newline(std::string_view bytes, std::size_t at, bool after_cr) {
  return bytes[at - 1] == '\n' && (at >= 2 ? bytes[at - 2] == '\r' : after_cr);
}

}  // namespace odmr::smtp
