#include "mail/trace.hpp"

#include <algorithm>
#include <array>

#include "base/ascii.hpp"
#include "mail/addresses.hpp"

namespace odmr::mail {

namespace {

constexpr std::size_t k_nowhere = std::string_view::npos;

constexpr bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// Behind the quoted string, or "<…>" with quoted strings in it, that begins at `at`; nowhere without an end.
std::size_t behind(std::string_view text, std::size_t at) {
  const char close = text[at] == '<' ? '>' : '"';
  for (std::size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == close) return i + 1;
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      const auto next = behind(text, i);
      if (next == k_nowhere) return k_nowhere;
      i = next - 1;
    }
  }
  return k_nowhere;
}

std::size_t behind_comment(std::string_view text, std::size_t at) {
  std::size_t depth = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '(') {
      ++depth;
    } else if (text[i] == ')' && --depth == 0) {
      return i + 1;
    }
  }
  return k_nowhere;
}

// "for<anna@example.org>" are two words.
std::size_t behind_word(std::string_view text, std::size_t at) {
  if (text[at] == '<') return behind(text, at);
  while (at < text.size() && !is_space(text[at]) && std::string_view("(;,<").find(text[at]) == k_nowhere) {
    at = text[at] == '"' ? behind(text, at) : at + 1;
    if (at == k_nowhere) return at;
  }
  return at;
}

// Without comments and blanks; a comma and a semicolon are words.
std::optional<std::vector<std::string_view>> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t at = 0; at < text.size();) {
    const auto begin = at;
    const char c = text[at];
    if (is_space(c)) {
      ++at;
      continue;
    }
    if (c == '(') {
      at = behind_comment(text, at);
      if (at == k_nowhere) return std::nullopt;
      continue;
    }
    at = c == ';' || c == ',' ? at + 1 : behind_word(text, at);
    if (at == k_nowhere) return std::nullopt;
    words.push_back(text.substr(begin, at - begin));
  }
  return words;
}

bool is_keyword(std::string_view word) {
  constexpr std::array<std::string_view, 6> keywords{"from", "by", "via", "with", "id", "for"};
  return std::any_of(keywords.begin(), keywords.end(),
                     [word](std::string_view one) { return equals_ignoring_case(one, word); });
}

// What follows "for": a path, or several with commas between, as some write against the grammar.
std::vector<std::string> recipients_at(const std::vector<std::string_view>& words, std::size_t at) {
  std::string list(words[at]);
  for (; at + 2 < words.size() && words[at + 1] == ","; at += 2) list += "," + std::string(words[at + 2]);
  auto found = addresses_in(list);
  return found ? std::move(*found) : std::vector<std::string>();
}

}  // namespace

std::optional<Trace> read_trace(std::string_view received) {
  auto words = words_of(received);
  if (!words) return std::nullopt;
  // The date is behind the last semicolon; a name in HELO may hold others.
  const auto date = std::find(words->rbegin(), words->rend(), ";");
  if (date != words->rend()) words->erase(date.base() - 1, words->end());

  Trace trace;
  // A keyword before a keyword has no value, or was itself the name that somebody gave in HELO.
  for (std::size_t i = 0; i + 1 < words->size(); ++i) {
    const auto keyword = (*words)[i];
    if (!is_keyword(keyword) || is_keyword((*words)[i + 1])) continue;
    ++i;
    if (equals_ignoring_case(keyword, "by")) trace.by = (*words)[i];
    if (equals_ignoring_case(keyword, "with")) trace.with = (*words)[i];
    if (equals_ignoring_case(keyword, "for")) trace.recipients = recipients_at(*words, i);
  }
  return trace;
}

}  // namespace odmr::mail
