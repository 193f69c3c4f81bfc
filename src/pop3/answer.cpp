#include "pop3/answer.hpp"

#include <algorithm>
#include <limits>

#include "base/ascii.hpp"

namespace odmr::pop3 {

namespace {

constexpr std::size_t k_longest_uid = 255;
constexpr std::size_t k_most_capabilities = 100;

bool is_uid_character(char c) {
  return c > ' ' && c < 0x7f;
}

// The first word of `text`, and what is behind the blanks that follow it.
std::string_view take_word(std::string_view& text) {
  const auto end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  text = trim(text);
  return word;
}

// RFC 1939 3: messages are counted from 1 on.
std::optional<std::uint32_t> message_number(std::string_view word) {
  const auto number = parse_number(word);
  if (!number || *number == 0 || *number > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

// RFC 2449 8: "[" code "]" at the beginning.
std::string code_in(std::string_view text) {
  if (text.empty() || text.front() != '[') return {};
  const auto end = text.find(']');
  return end == std::string_view::npos ? std::string() : upper(text.substr(1, end - 1));
}

}  // namespace

bool Status::is_temporary() const {
  return code == "IN-USE" || code.starts_with("LOGIN-DELAY") || code.starts_with("SYS/TEMP");
}

std::optional<Status> parse_status(std::string_view line) {
  Status status;
  std::string_view word = take_word(line);
  if (word == "+OK")
    status.kind = Status::Kind::ok;
  else if (word == "-ERR")
    status.kind = Status::Kind::error;
  else if (word == "+")
    status.kind = Status::Kind::challenge;
  else
    return std::nullopt;
  status.text = line;
  status.code = code_in(line);
  return status;
}

std::string timestamp_in(std::string_view greeting) {
  const auto begin = greeting.find('<');
  if (begin == std::string_view::npos) return {};
  const auto end = greeting.find('>', begin);
  if (end == std::string_view::npos) return {};
  const std::string_view stamp = greeting.substr(begin, end + 1 - begin);
  // RFC 1939 7: a msg-id. Others put their names into brackets.
  const bool is_one =
      stamp.find('@') != std::string_view::npos && std::all_of(stamp.begin(), stamp.end(), is_uid_character);
  return is_one ? std::string(stamp) : std::string();
}

std::optional<Listed> parse_listed(std::string_view line) {
  const auto number = message_number(take_word(line));
  const auto size = parse_number(take_word(line));
  if (!number || !size) return std::nullopt;
  return Listed{*number, *size};
}

std::optional<Named> parse_named(std::string_view line) {
  const auto number = message_number(take_word(line));
  const auto uid = take_word(line);
  if (!number || uid.empty() || uid.size() > k_longest_uid) return std::nullopt;
  if (!std::all_of(uid.begin(), uid.end(), is_uid_character)) return std::nullopt;
  return Named{*number, uid};
}

void Capabilities::add(std::string_view line) {
  if (lines_.size() < k_most_capabilities) lines_.emplace_back(trim(line));
}

bool Capabilities::has(std::string_view name) const {
  return std::any_of(lines_.begin(), lines_.end(),
                     [&](std::string_view line) { return equals_ignoring_case(take_word(line), name); });
}

std::vector<std::string> Capabilities::mechanisms() const {
  std::vector<std::string> found;
  for (std::string_view line : lines_) {
    if (!equals_ignoring_case(take_word(line), "SASL")) continue;
    while (!line.empty()) found.emplace_back(take_word(line));
  }
  return found;
}

std::string Capabilities::text() const {
  std::string all;
  for (const auto& line : lines_) all += (all.empty() ? "" : ", ") + line;
  return all;
}

}  // namespace odmr::pop3
