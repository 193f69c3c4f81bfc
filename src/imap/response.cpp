#include "imap/response.hpp"

#include <algorithm>
#include <limits>

#include "base/ascii.hpp"

namespace odmr::imap {

namespace {

using Kind = Response::Kind;
using Verdict = Response::Verdict;

constexpr std::size_t k_most_words = 200;
constexpr std::string_view k_search = "* SEARCH";

std::string_view take_word(std::string_view& text) {
  const auto end = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

Verdict verdict_named(std::string_view word) {
  if (equals_ignoring_case(word, "OK")) return Verdict::ok;
  if (equals_ignoring_case(word, "NO")) return Verdict::no;
  if (equals_ignoring_case(word, "BAD")) return Verdict::bad;
  if (equals_ignoring_case(word, "BYE")) return Verdict::bye;
  if (equals_ignoring_case(word, "PREAUTH")) return Verdict::preauth;
  return Verdict::none;
}

std::optional<std::uint32_t> small_number(std::string_view word) {
  const auto number = parse_number(word);
  if (!number || *number > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

// RFC 3501 7.1: resp-text, with a code in brackets in front where there is one.
void take_text(std::string_view text, Response& response) {
  response.text = text;
  if (text.empty() || text.front() != '[') return;
  const auto end = text.find(']');
  if (end != std::string_view::npos) response.code = text.substr(1, end - 1);
}

std::optional<Response> parse_untagged(std::string_view line) {
  Response response;
  std::string_view word = take_word(line);
  response.verdict = verdict_named(word);
  if (response.verdict != Verdict::none) {
    response.kind = Kind::status;
    take_text(line, response);
    return response;
  }
  response.text = line;
  if (equals_ignoring_case(word, "CAPABILITY")) response.kind = Kind::capability;
  const auto number = small_number(word);
  if (!number) return response;
  response.number = *number;
  word = take_word(line);
  response.text = line;
  if (equals_ignoring_case(word, "FETCH")) response.kind = Kind::fetch;
  if (equals_ignoring_case(word, "EXISTS")) response.kind = Kind::exists;
  return response;
}

}  // namespace

std::optional<Response> parse_response(std::string_view line) {
  const std::string_view whole = line;
  const std::string_view first = take_word(line);
  if (first == "*") return parse_untagged(line);
  Response response;
  if (first == "+") {
    response.kind = Kind::continuation;
    response.text = line;
    return response;
  }
  const std::string_view word = take_word(line);
  response.verdict = verdict_named(word);
  if (first.empty() || !std::all_of(first.begin(), first.end(), is_alnum)) return std::nullopt;
  if (response.verdict != Verdict::ok && response.verdict != Verdict::no && response.verdict != Verdict::bad)
    return std::nullopt;
  response.kind = Kind::tagged;
  response.tag = first;
  take_text(whole.substr(whole.size() - line.size()), response);
  return response;
}

std::optional<std::uint32_t> number_in_code(std::string_view code, std::string_view name) {
  const std::string_view word = take_word(code);
  if (!equals_ignoring_case(word, name)) return std::nullopt;
  return small_number(trim(code));
}

bool is_temporary(std::string_view code) {
  return equals_ignoring_case(code, "UNAVAILABLE") || equals_ignoring_case(code, "INUSE") ||
         equals_ignoring_case(code, "LIMIT") || equals_ignoring_case(code, "SERVERBUG");
}

std::optional<std::uint64_t> literal_behind(std::string_view line) {
  if (line.empty() || line.back() != '}') return std::nullopt;
  const auto begin = line.rfind('{');
  if (begin == std::string_view::npos) return std::nullopt;
  return parse_number(line.substr(begin + 1, line.size() - begin - 2));
}

Capabilities Capabilities::from(std::string_view words) {
  Capabilities found;
  while (!words.empty() && found.words_.size() < k_most_words) {
    const std::string_view word = take_word(words);
    if (!word.empty()) found.words_.push_back(upper(word));
  }
  return found;
}

bool Capabilities::has(std::string_view name) const {
  return std::find(words_.begin(), words_.end(), name) != words_.end();
}

std::vector<std::string> Capabilities::mechanisms() const {
  std::vector<std::string> found;
  for (const auto& word : words_) {
    if (word.starts_with("AUTH=")) found.push_back(word.substr(5));
  }
  return found;
}

std::string Capabilities::text() const {
  std::string all;
  for (const auto& word : words_) all += (all.empty() ? "" : " ") + word;
  return all;
}

std::optional<bool> SearchReader::is_search(std::string_view bytes) {
  const std::string_view beginning = bytes.substr(0, k_search.size());
  if (!equals_ignoring_case(beginning, k_search.substr(0, beginning.size()))) return false;
  if (bytes.size() <= k_search.size()) return std::nullopt;
  return bytes[k_search.size()] == ' ' || bytes[k_search.size()] == '\r';
}

bool SearchReader::take(char c, std::vector<std::uint32_t>& numbers) {
  if (is_beyond_) return true;
  if (is_digit(c)) {
    number_ = number_.value_or(0) * 10 + static_cast<std::uint64_t>(c - '0');
    return *number_ <= std::numeric_limits<std::uint32_t>::max();
  }
  if (number_) numbers.push_back(static_cast<std::uint32_t>(*number_));
  number_.reset();
  is_beyond_ = c == '(';
  return c == ' ' || c == '\r' || c == '(';
}

std::optional<SearchReader::Progress> SearchReader::read(std::string_view bytes, std::vector<std::uint32_t>& numbers) {
  Progress progress;
  while (progress.consumed < bytes.size()) {
    const char c = bytes[progress.consumed++];
    if (head_ < k_search.size()) {
      ++head_;
      continue;
    }
    if (c == '\n') {
      progress.ended = true;
      return progress;
    }
    if (!take(c, numbers)) return std::nullopt;
  }
  return progress;
}

}  // namespace odmr::imap
