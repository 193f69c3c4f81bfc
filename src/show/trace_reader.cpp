#include "show/trace_reader.hpp"

#include <algorithm>
#include <array>

#include "base/ascii.hpp"
#include "show/json.hpp"

namespace odmr::show {

namespace {

using app::TraceLine;

constexpr std::array<std::string_view, 5> k_levels = {"trace: ", "debug: ", "info: ", "warning: ", "error: "};

bool is_key_letter(char c) {
  return is_alnum(c) || c == '_';
}

// Where " key=" begins; npos without.
std::size_t next_field(std::string_view text, std::size_t from) {
  for (auto space = text.find(' ', from); space != std::string_view::npos; space = text.find(' ', space + 1)) {
    auto end = space + 1;
    while (end < text.size() && is_key_letter(text[end])) ++end;
    if (end > space + 1 && end < text.size() && text[end] == '=') return space;
  }
  return std::string_view::npos;
}

// A value, and where it ends: in quotes, with the quotes inside escaped, or up to the next space.
std::pair<std::string, std::size_t> value_at(std::string_view text, std::size_t at) {
  std::string value;
  if (at >= text.size() || text[at] != '"') {
    const auto end = std::min(text.find(' ', at), text.size());
    return {std::string(text.substr(at, end - at)), end};
  }
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\' && at + 1 < text.size() && text[at + 1] == '"') ++at;
    value += text[at];
  }
  return {value, std::min(at + 1, text.size())};
}

std::optional<std::string_view> behind_level(std::string_view line) {
  std::size_t first = std::string_view::npos;
  std::size_t length = 0;
  for (const auto level : k_levels) {
    for (auto at = line.find(level); at != std::string_view::npos; at = line.find(level, at + 1)) {
      if (at > 0 && line[at - 1] != ' ') continue;
      if (at < first) length = level.size();
      first = std::min(first, at);
      break;
    }
  }
  if (first == std::string_view::npos) return std::nullopt;
  return line.substr(first + length);
}

std::optional<TraceLine> read_text(std::string_view line) {
  const auto rest = behind_level(line);
  if (!rest) return std::nullopt;
  TraceLine read;
  auto at = next_field(*rest, 0);
  read.event = std::string(rest->substr(0, at));
  while (at != std::string_view::npos) {
    const auto equals = rest->find('=', at);
    auto [value, end] = value_at(*rest, equals + 1);
    read.fields.emplace_back(rest->substr(at + 1, equals - at - 1), std::move(value));
    at = next_field(*rest, end);
  }
  return read;
}

std::optional<ordered_json> object_in(std::string_view line) {
  const auto begin = line.find('{');
  if (begin == std::string_view::npos) return std::nullopt;
  auto object = ordered_json::parse(line.substr(begin), nullptr, false);
  if (object.is_discarded() || !object.is_object()) return std::nullopt;
  return object;
}

std::string text_in(const ordered_json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<TraceLine> read_json(const ordered_json& object) {
  if (text_in(object, "event").empty()) return std::nullopt;
  TraceLine read;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string()) continue;
    if (key == "event")
      read.event = value.get<std::string>();
    else
      read.fields.emplace_back(key, value.get<std::string>());
  }
  return read;
}

// Of `odmr run --json`.
bool take_report(const ordered_json& object, app::Explainer& explainer) {
  const auto outcome = outcome_named(text_in(object, "outcome"));
  const auto session = text_in(object, "session");
  if (!outcome || session.empty()) return false;
  const auto cause = cause_named(text_in(object, "cause")).value_or(Cause::unknown);
  explainer.add_report(session, text_in(object, "provider"), *outcome, cause, text_in(object, "text"));
  return true;
}

// "isp: tls: the certificate of …. What to do: …", as `odmr run` prints it.
bool take_sentence(std::string_view line, app::Explainer& explainer) {
  if (line.starts_with("odmr: ")) line.remove_prefix(6);
  const auto first = line.find(": ");
  const auto second = first == std::string_view::npos ? first : line.find(": ", first + 2);
  if (second == std::string_view::npos) return false;
  const auto outcome = outcome_named(line.substr(first + 2, second - first - 2));
  if (!outcome || exit_status(*outcome) == 0) return false;
  const auto text = line.substr(second + 2);
  explainer.add_report({}, std::string(line.substr(0, first)), *outcome, Cause::unknown,
                       std::string(text.substr(0, text.find(". What to do: "))));
  return true;
}

}  // namespace

std::optional<TraceLine> read_trace_line(std::string_view line) {
  if (const auto object = object_in(line)) {
    if (auto read = read_json(*object)) return read;
  }
  return read_text(line);
}

bool take_trace_line(std::string_view line, app::Explainer& explainer) {
  if (const auto object = object_in(line)) {
    if (take_report(*object, explainer)) return true;
  }
  if (const auto read = read_trace_line(line)) {
    explainer.add(*read);
    return read->event == "<" || read->event == ">" || !read->field("session").empty();
  }
  return take_sentence(line, explainer);
}

}  // namespace odmr::show
