#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/ascii.hpp"
#include "config/tree.hpp"
#include "config/units.hpp"

namespace odmr::config {

namespace {

constexpr const char* k_need_text = "a text in quotes";

std::string mismatch(const Node& found, std::string_view need) {
  return fmt::format("{} stands here; {} is needed", describe(found.kind), need);
}

std::string join(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}

// What is wrong with a text as such. Nothing configured needs a control character, and a line end in a host or a
// domain would become a line end in a command.
std::string objection(const std::string& text) {
  if (text.empty()) return "an empty text stands here; write a value, or leave the key out";
  if (std::any_of(text.begin(), text.end(), is_control)) return "a control character stands in the text; take it out";
  return {};
}

}  // namespace

const Entry* Node::find(std::string_view key) const {
  for (const auto& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

std::string_view describe(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::text:
      return "a text";
    case Node::Kind::integer:
      return "a whole number";
    case Node::Kind::fraction:
      return "a number with a fraction";
    case Node::Kind::boolean:
      return "true or false";
    case Node::Kind::time:
      return "a date or time";
    case Node::Kind::list:
      return "a list";
    case Node::Kind::table:
      return "a table";
  }
  return "something";
}

std::string written(std::string_view key) {
  const bool bare =
      !key.empty() && std::all_of(key.begin(), key.end(), [](char c) { return is_alnum(c) || c == '_' || c == '-'; });
  return bare ? std::string(key) : "\"" + escape(key, 60) + "\"";
}

Table::Table(State* state, const Node* node, Place place, std::string name, std::string path, std::string pattern)
    : state_(state),
      node_(node),
      place_(place),
      name_(std::move(name)),
      path_(std::move(path)),
      pattern_(std::move(pattern)) {}

// --- asking

const Node* Table::ask(const std::string& key) const {
  state_->patterns.insert(join(pattern_, key));
  if (node_ == nullptr) return nullptr;
  state_->asked[node_].insert(key);
  const Entry* entry = node_->find(key);
  return entry == nullptr ? nullptr : &entry->value;
}

bool Table::has(const std::string& key) const {
  return ask(key) != nullptr;
}

const std::string* Table::ask_text(const std::string& key, const char* need) const {
  const Node* found = ask(key);
  if (found == nullptr) return nullptr;
  const bool is_text = found->kind == Node::Kind::text;
  const std::string wrong = is_text ? objection(found->text) : mismatch(*found, need);
  if (!wrong.empty()) fault_at(found->place, key, wrong);
  return wrong.empty() ? &found->text : nullptr;
}

std::optional<std::string> Table::text(const std::string& key) const {
  const std::string* found = ask_text(key, k_need_text);
  return found == nullptr ? std::nullopt : std::optional(*found);
}

std::string Table::text(const std::string& key, const std::string& otherwise) const {
  return text(key).value_or(otherwise);
}

std::string Table::required_text(const std::string& key, const std::string& example) const {
  if (!has(key)) fault(key, fmt::format("missing; write {} = \"{}\"", key, example));
  return text(key).value_or("");
}

std::optional<std::string> Table::text_of_lines(const std::string& key) const {
  const Node* found = ask(key);
  if (found == nullptr) return std::nullopt;
  std::string wrong;
  if (found->kind != Node::Kind::text) {
    wrong = mismatch(*found, k_need_text);
  } else {
    std::string words = found->text;
    std::erase_if(words, [](char c) { return c == '\r' || c == '\n' || c == '\t'; });
    if (!words.empty()) wrong = objection(words);
    if (found->text.empty()) wrong = objection(found->text);
  }
  if (wrong.empty()) return found->text;
  fault_at(found->place, key, wrong);
  return std::nullopt;
}

bool Table::boolean(const std::string& key, bool otherwise) const {
  const Node* found = ask(key);
  if (found == nullptr) return otherwise;
  if (found->kind == Node::Kind::boolean) return found->boolean;
  fault_at(found->place, key, mismatch(*found, "true or false, without quotes,"));
  return otherwise;
}

std::optional<std::int64_t> Table::integer(const std::string& key, Range<std::int64_t> range) const {
  const Node* found = ask(key);
  if (found == nullptr) return std::nullopt;
  if (found->kind != Node::Kind::integer) {
    fault_at(found->place, key, mismatch(*found, "a whole number, without quotes,"));
    return std::nullopt;
  }
  if (found->integer < range.least || found->integer > range.most) {
    fault_at(found->place, key,
             fmt::format("{} is out of range; {} to {} is possible", found->integer, range.least, range.most));
    return std::nullopt;
  }
  return found->integer;
}

std::int64_t Table::integer(const std::string& key, std::int64_t otherwise, Range<std::int64_t> range) const {
  return integer(key, range).value_or(otherwise);
}

std::optional<Duration> Table::duration_in(const std::string& key, Range<Duration> range) const {
  const Node* found = ask(key);
  if (found == nullptr) return std::nullopt;
  if (found->kind == Node::Kind::integer && found->integer >= 0) {
    fault_at(found->place, key, fmt::format("{0} has no unit; write \"{0}s\", or m, h, d for the s", found->integer));
    return std::nullopt;
  }
  const std::string* text = ask_text(key, R"(a duration: "90s", "5m", "2h" or "5d")");
  if (text == nullptr) return std::nullopt;
  const auto duration = parse_duration(*text);
  std::string wrong;
  if (!duration) {
    wrong = duration.error().text;
  } else if (*duration < range.least) {
    wrong = fmt::format("\"{}\" is too short; {} is the least", *text, to_text(range.least));
  } else if (*duration > range.most) {
    wrong = fmt::format("\"{}\" is too long; {} is the most", *text, to_text(range.most));
  }
  if (wrong.empty()) return *duration;
  fault_at(found->place, key, wrong);
  return std::nullopt;
}

std::optional<Duration> Table::duration(const std::string& key) const {
  return duration_in(key, k_any_duration);
}

Duration Table::duration(const std::string& key, Duration otherwise, Range<Duration> range) const {
  return duration_in(key, range).value_or(otherwise);
}

std::optional<std::uint64_t> Table::size_in(const std::string& key, Range<std::uint64_t> range) const {
  const Node* found = ask(key);
  if (found == nullptr) return std::nullopt;
  Result<std::uint64_t> size = 0;
  if (found->kind == Node::Kind::integer && found->integer >= 0) {
    size = static_cast<std::uint64_t>(found->integer);
  } else if (const std::string* text = ask_text(key, R"(a size: "64KiB", "50MiB" or "2GiB")")) {
    size = parse_size(*text);
  } else {
    return std::nullopt;
  }
  std::string wrong;
  if (!size) {
    wrong = size.error().text;
  } else if (*size < range.least || *size > range.most) {
    wrong = fmt::format("{} bytes are out of range; {} to {} are possible", *size, range.least, range.most);
  }
  if (wrong.empty()) return *size;
  fault_at(found->place, key, wrong);
  return std::nullopt;
}

std::optional<std::uint64_t> Table::size(const std::string& key) const {
  return size_in(key, k_any_size);
}

std::uint64_t Table::size(const std::string& key, std::uint64_t otherwise, Range<std::uint64_t> range) const {
  return size_in(key, range).value_or(otherwise);
}

std::optional<std::vector<std::string>> Table::texts_in(const std::string& key, const Node& list) const {
  std::vector<std::string> texts;
  bool good = true;
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    const Node& item = list.items[i];
    const std::string wrong = item.kind == Node::Kind::text ? objection(item.text) : mismatch(item, k_need_text);
    if (!wrong.empty()) fault_at(item.place, key, wrong);
    good = good && wrong.empty();
    texts.push_back(item.text);
  }
  return good ? std::optional(std::move(texts)) : std::nullopt;
}

std::optional<std::vector<std::string>> Table::texts(const std::string& key) const {
  const Node* found = ask(key);
  if (found == nullptr) return std::nullopt;
  if (found->kind == Node::Kind::list) return texts_in(key, *found);
  const std::string example = found->kind == Node::Kind::text ? escape(found->text, 60) : "…";
  fault_at(found->place, key, mismatch(*found, fmt::format("a list: [\"{}\"]", example)));
  return std::nullopt;
}

std::optional<std::vector<std::string>> Table::text_or_texts(const std::string& key) const {
  const Node* found = ask(key);
  if (found == nullptr || found->kind == Node::Kind::list) return texts(key);
  const auto one = text(key);
  return one ? std::optional(std::vector<std::string>{*one}) : std::nullopt;
}

std::vector<std::string> Table::texts(const std::string& key, const std::vector<std::string>& otherwise) const {
  return texts(key).value_or(otherwise);
}

std::optional<std::size_t> Table::choice_of(const std::string& key, const std::vector<std::string>& words) const {
  const std::string* found = ask_text(key, k_need_text);
  if (found == nullptr) return std::nullopt;
  const auto word = std::find(words.begin(), words.end(), *found);
  if (word != words.end()) return static_cast<std::size_t>(word - words.begin());
  fault(key,
        fmt::format("\"{}\" is not known here; write one of \"{}\"", escape(*found, 60), fmt::join(words, "\", \"")));
  return std::nullopt;
}

std::optional<std::vector<std::string>> Table::command(const std::string& key) const {
  const Node* found = ask(key);
  if (found == nullptr) return std::nullopt;
  if (found->kind == Node::Kind::list && !found->items.empty()) return texts_in(key, *found);
  const bool is_text = found->kind == Node::Kind::text;
  if (is_text && !trim(found->text).empty() && found->text.find('\0') == std::string::npos) {
    return std::vector<std::string>{"/bin/sh", "-c", found->text};
  }
  fault_at(found->place, key,
           is_text || found->kind == Node::Kind::list ? "an empty command stands here; write one, or leave the key out"
                                                      : mismatch(*found, "a command, as a text for sh or as a list,"));
  return std::nullopt;
}

std::optional<std::string> Table::path(const std::string& key) const {
  const std::string* found = ask_text(key, "a file's name in quotes");
  if (found == nullptr) return std::nullopt;
  const char* home = std::getenv("HOME");
  if (found->starts_with("~/") && home != nullptr) return home + found->substr(1);
  // Joined so, an absolute path stays as it is.
  return (std::filesystem::path(state_->file).parent_path() / *found).string();
}

// --- tables in it

Table Table::table(const std::string& key) const {
  const Node* found = ask(key);
  const std::string path = dotted(key);
  if (found != nullptr && found->kind != Node::Kind::table) {
    fault_at(found->place, key, mismatch(*found, "a table: [" + path + "]"));
    found = nullptr;
  }
  if (found != nullptr) state_->asked[found];
  return {state_, found, found == nullptr ? place_ : found->place, key, path, join(pattern_, key)};
}

std::vector<Table> Table::tables(const std::string& key) const {
  const Table all = table(key);
  std::vector<Table> tables;
  if (!all.is_there()) return tables;
  for (const auto& entry : all.node_->entries) {
    state_->asked[all.node_].insert(entry.key);
    const std::string path = all.dotted(entry.key);
    if (entry.value.kind == Node::Kind::table) {
      state_->asked[&entry.value];
      tables.push_back({state_, &entry.value, entry.value.place, entry.key, path, join(all.pattern_, "NAME")});
    } else {
      all.fault_at(entry.value.place, entry.key, mismatch(entry.value, fmt::format("a table: [{}.NAME]", all.path_)));
    }
  }
  return tables;
}

// --- faults

std::string Table::dotted(const std::string& key) const {
  return join(path_, written(key));
}

void Table::fault_at(Place place, const std::string& key, std::string text) const {
  Fault fault{state_->file, place, dotted(key), std::move(text)};
  // A key may be asked for twice; it is wrong only once.
  const auto same = std::find(state_->faults.begin(), state_->faults.end(), fault);
  if (same == state_->faults.end()) state_->faults.push_back(std::move(fault));
}

Place Table::place(const std::string& key) const {
  const Entry* entry = node_ == nullptr ? nullptr : node_->find(key);
  return entry == nullptr ? place_ : entry->value.place;
}

void Table::fault(const std::string& key, const std::string& text) const {
  fault_at(place(key), key, text);
}

const std::string& Table::file() const {
  return state_->file;
}

const std::optional<FileStatus>& Table::file_status() const {
  return state_->status;
}

}  // namespace odmr::config
