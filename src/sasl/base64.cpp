#include "sasl/base64.hpp"

#include <array>
#include <cstdint>

namespace odmr::sasl {
namespace {

constexpr std::string_view k_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint32_t k_not_a_letter = 64;

constexpr std::array<std::uint8_t, 256> values() {
  std::array<std::uint8_t, 256> table{};
  table.fill(k_not_a_letter);
  for (std::size_t i = 0; i < k_alphabet.size(); ++i) {
    table[static_cast<unsigned char>(k_alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}

constexpr auto k_values = values();

std::uint32_t value_of(char letter) {
  return k_values[static_cast<unsigned char>(letter)];
}

tl::unexpected<Error> not_base64() {
  return fail(Errc::malformed, "not base64 as RFC 4648 has it");
}

std::size_t padding_of(std::string_view text) {
  if (text.ends_with("==")) return 2;
  return text.ends_with('=') ? 1 : 0;
}

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::string_view group = bytes.substr(at, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = bits << 8 | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) text += i <= group.size() ? k_alphabet[bits >> (18 - 6 * i) & 63U] : '=';
  }
  return text;
}

Result<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return not_base64();
  const std::size_t padding = padding_of(text);
  const std::string_view letters = text.substr(0, text.size() - padding);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char letter : letters) {
    const std::uint32_t value = value_of(letter);
    if (value == k_not_a_letter) return not_base64();
    bits = (bits << 6 | value) & 0xffffU;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes += static_cast<char>(bits >> held & 0xffU);
  }
  // What the padding cuts off must be zero, or two texts would stand for the same bytes.
  if ((bits & ((1U << held) - 1U)) != 0) return not_base64();
  return bytes;
}

std::string to_initial_response(std::string_view bytes) {
  return bytes.empty() ? "=" : to_base64(bytes);
}

Result<std::string> from_initial_response(std::string_view argument) {
  if (argument == "=") return std::string();
  if (argument.empty()) return not_base64();
  return from_base64(argument);
}

}  // namespace odmr::sasl
