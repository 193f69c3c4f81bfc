#include "queue/note.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.hpp"

namespace odmr::queue {

namespace {

using Kind = Note::Kind;

constexpr std::size_t k_longest_line = 1000;
constexpr std::uint64_t k_latest = 9'000'000'000;  // in the year 2255: WallTime holds little more
constexpr std::array<std::pair<Kind, std::string_view>, 4> k_plain{
    {{Kind::retry, "retry"}, {Kind::hold, "hold"}, {Kind::release, "release"}, {Kind::delay_told, "delay told"}}};
constexpr std::string_view k_seen = "seen ";
constexpr std::array<std::pair<Kind, std::string_view>, 4> k_about_one{
    {{Kind::sent, "sent"}, {Kind::failed, "failed"}, {Kind::told, "told"}, {Kind::undeliverable, "undeliverable"}}};

// The text up to the next space, which goes too.
std::string_view take_word(std::string_view& text) {
  const auto space = std::min(text.find(' '), text.size());
  const std::string_view word = text.substr(0, space);
  text.remove_prefix(std::min(space + 1, text.size()));
  return word;
}

std::int64_t in_seconds(WallTime time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
  return std::max<std::int64_t>(seconds, 0);
}

std::optional<WallTime> parse_seconds(std::string_view digits) {
  const auto seconds = parse_number(digits);
  if (!seconds || *seconds > k_latest) return std::nullopt;
  return WallTime(std::chrono::seconds(*seconds));
}

std::optional<Note> parse_about_one(Kind kind, std::string_view rest) {
  Note note;
  note.kind = kind;
  const auto recipient = parse_number(take_word(rest));
  if (!recipient) return std::nullopt;
  note.recipient = *recipient;
  if (kind == Kind::failed) {
    const auto when = parse_seconds(take_word(rest));
    if (!when) return std::nullopt;
    note.when = *when;
  }
  const bool has_reply = kind == Kind::failed || kind == Kind::undeliverable;
  if (has_reply) note.reply = rest;
  if (!has_reply && !rest.empty()) return std::nullopt;
  return note;
}

}  // namespace

std::string text_of(const Note& note) {
  for (const auto& [kind, word] : k_plain) {
    if (kind == note.kind) return std::string(word);
  }
  if (note.kind == Kind::seen) return fmt::format("{}{}", k_seen, in_seconds(note.when));
  const auto place =
      std::find_if(k_about_one.begin(), k_about_one.end(), [&](const auto& one) { return one.first == note.kind; });
  std::string text = fmt::format("{} {}", place->second, note.recipient);
  if (note.kind == Kind::failed) text += fmt::format(" {}", in_seconds(note.when));
  if (note.kind == Kind::failed || note.kind == Kind::undeliverable) text += " " + one_line(note.reply);
  return text;
}

std::optional<Note> parse_note(std::string_view text) {
  for (const auto& [kind, word] : k_plain) {
    if (text == word) return Note{kind, 0, {}, {}};
  }
  if (text.starts_with(k_seen)) {
    const auto when = parse_seconds(text.substr(k_seen.size()));
    return when ? std::optional(Note{Kind::seen, 0, *when, {}}) : std::nullopt;
  }
  std::string_view rest = text;
  const std::string_view first = take_word(rest);
  for (const auto& [kind, word] : k_about_one) {
    if (first == word) return parse_about_one(kind, rest);
  }
  return std::nullopt;
}

std::string one_line(std::string_view words) {
  std::string line(words.substr(0, k_longest_line));
  std::replace_if(line.begin(), line.end(), is_control, '?');
  return line;
}

smtp::Reply reply_from(std::string_view line) {
  const std::string_view digits = line.substr(0, 3);
  const auto code = parse_number(digits);
  const bool is_reply = digits.size() == 3 && code && *code >= 200 && *code < 600 && line.substr(3, 1) <= " ";
  if (!is_reply) return {451, std::string(line)};
  return {static_cast<int>(*code), std::string(line.substr(std::min<std::size_t>(line.size(), 4)))};
}

}  // namespace odmr::queue
