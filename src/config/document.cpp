#include "config/document.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "config/file.hpp"
#include "config/tree.hpp"

namespace odmr::config {

namespace {

constexpr std::size_t k_longest_file = std::size_t{1024} * 1024;

// Case, and the two ways to join words, are the same mistake as none.
char folded(char c) {
  return c == '-' ? '_' : to_lower(c);
}

// How many letters have to be changed, added, dropped or swapped with their neighbour.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(before_last, last);
    std::swap(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = folded(a[i - 1]) == folded(b[j - 1]);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      const bool swapped =
          i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

// The known key that was probably meant, empty when none is near.
std::string nearest(std::string_view key, const std::set<std::string>& known) {
  std::string best;
  std::size_t best_distance = std::clamp<std::size_t>(key.size() / 3, 1, 3) + 1;
  for (const auto& candidate : known) {
    const std::size_t here = distance(key.substr(0, 64), candidate);
    if (here < best_distance) {
      best = candidate;
      best_distance = here;
    }
  }
  return best;
}

// TOML's own trap: a key for the top, written after a [table], belongs to that table.
std::string elsewhere(const State& state, const std::string& key) {
  if (state.patterns.contains(key)) return fmt::format("'{}' before the first [table]", key);
  for (const auto& pattern : state.patterns) {
    if (pattern.ends_with("." + key)) return "'" + pattern + "'";
  }
  return {};
}

std::string unknown(const State& state, const std::string& key, const std::set<std::string>& known) {
  std::string text = "unknown key '" + escape(key, 60) + "'";
  const std::string near = nearest(key, known);
  const std::string meant = near.empty() ? elsewhere(state, key) : "'" + near + "'";
  if (!meant.empty()) text += ", did you mean " + meant + "?";
  return text;
}

void find_unknown(const State& state, const Node& table, const std::string& path, std::vector<Fault>& faults) {
  const auto asked = state.asked.find(&table);
  if (asked == state.asked.end()) return;  // wanted as something else than a table: a fault by itself
  for (const auto& entry : table.entries) {
    const std::string dotted = path.empty() ? written(entry.key) : path + "." + written(entry.key);
    if (!asked->second.contains(entry.key)) {
      faults.push_back({state.file, entry.place, dotted, unknown(state, entry.key, asked->second)});
    } else if (entry.value.kind == Node::Kind::table) {
      find_unknown(state, entry.value, dotted, faults);
    }
  }
}

}  // namespace

std::string Fault::render() const {
  std::string out = escape(file);
  if (place.line > 0) out += fmt::format(":{}:{}", place.line, place.column);
  out += ": ";
  if (!key.empty()) out += key + ": ";
  return out + text;
}

Document::Document(std::unique_ptr<State> state) : state_(std::move(state)) {}
Document::~Document() = default;
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;

tl::expected<Document, Fault> Document::load(const std::string& path) {
  const auto contents = read_file(path, k_longest_file);
  if (!contents) return tl::unexpected(Fault{path, {}, {}, contents.error().text});
  auto document = parse(contents->bytes.text(), path);
  if (document) document->state_->status = contents->status;
  return document;
}

tl::expected<Document, Fault> Document::parse(std::string_view text, const std::string& file) {
  auto root = parse_toml(text, file);
  if (!root) return tl::unexpected(root.error());
  auto state = std::make_unique<State>();
  state->file = file;
  state->root = std::move(*root);
  state->asked[&state->root];
  return Document(std::move(state));
}

Table Document::root() {
  return {state_.get(), &state_->root, state_->root.place, {}, {}, {}};
}

std::vector<Fault> Document::faults() const {
  std::vector<Fault> faults = state_->faults;
  find_unknown(*state_, state_->root, {}, faults);
  std::stable_sort(faults.begin(), faults.end(), [](const Fault& a, const Fault& b) { return a.place < b.place; });
  return faults;
}

std::vector<std::string> Document::keys() const {
  return {state_->patterns.begin(), state_->patterns.end()};
}

}  // namespace odmr::config
