#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/file.hpp"

namespace odmr::config {

/// A place in a file, both counted from 1; 0 and 0 for the file as a whole.
struct Place {
  unsigned line = 0;
  unsigned column = 0;
  friend bool operator==(const Place&, const Place&) = default;
  friend bool operator<(const Place& a, const Place& b) {
    return a.line < b.line || (a.line == b.line && a.column < b.column);
  }
};

/// Something wrong in a configuration file.
struct Fault {
  std::string file;
  Place place;
  std::string key;   ///< dotted, empty for the file as a whole
  std::string text;  ///< what is wrong; what would be right

  /// "FILE:LINE:COLUMN: KEY: TEXT", without what there is none of.
  std::string render() const;
  friend bool operator==(const Fault&, const Fault&) = default;
};

/// Both ends are allowed.
template <class Value>
struct Range {
  Value least;
  Value most;
};

struct Node;
struct State;
class Table;

/// A configuration file that has been read. Its values are asked for by name, with the type they should have; what is
/// wrong with them gathers in faults(), and so does every key that nobody asked for.
class Document {
 public:
  /// Errors: one fault, where the file cannot be read or is no TOML.
  static tl::expected<Document, Fault> load(const std::string& path);
  /// The same for a text; `file` is the name its faults carry.
  static tl::expected<Document, Fault> parse(std::string_view text, const std::string& file);

  ~Document();
  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;

  /// The keys before the first [table]. Tables must not outlive the Document.
  Table root();

  /// Everything wrong, in the order of the file. To be asked for last: a key not asked for until then is unknown.
  std::vector<Fault> faults() const;

  /// All keys that were asked for, there or not, sorted: "provider.NAME.host". For holding a manual against.
  std::vector<std::string> keys() const;

 private:
  explicit Document(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// One table of a Document: [name]. A view, cheap to copy; it may stand for a table that is not there, of which every
/// key is missing.
///
/// Each getter gives nothing (or the default) when the key is missing; when its value is wrong too, but then there is
/// a fault. Asking for a key also makes it known, so ask for every key whatever the others say.
class Table {
 public:
  /// The last part of the table's name: "isp" of [provider.isp].
  const std::string& name() const { return name_; }
  bool is_there() const { return node_ != nullptr; }
  bool has(const std::string& key) const;

  /// Text without control characters, not empty.
  std::optional<std::string> text(const std::string& key) const;
  std::string text(const std::string& key, const std::string& otherwise) const;
  /// Text that has to be there; `example` is what the fault proposes. Empty when it is not.
  std::string required_text(const std::string& key, const std::string& example) const;

  /// Text that may also have CR, LF and TAB in it, not empty: what goes to somebody as it stands.
  std::optional<std::string> text_of_lines(const std::string& key) const;

  bool boolean(const std::string& key, bool otherwise) const;

  std::optional<std::int64_t> integer(const std::string& key, Range<std::int64_t> range) const;
  std::int64_t integer(const std::string& key, std::int64_t otherwise, Range<std::int64_t> range) const;

  /// "500ms", "90s", "5m", "2h", "5d"; from 1 ms to ten years unless told otherwise.
  static constexpr Range<Duration> k_any_duration{std::chrono::milliseconds(1), std::chrono::hours(24 * 3650)};
  std::optional<Duration> duration(const std::string& key) const;
  Duration duration(const std::string& key, Duration otherwise, Range<Duration> range = k_any_duration) const;

  /// In bytes: "64KiB", "50MiB", "2GiB", "100B", or a whole number.
  static constexpr Range<std::uint64_t> k_any_size{0, std::uint64_t{1} << 62};
  std::optional<std::uint64_t> size(const std::string& key) const;
  std::uint64_t size(const std::string& key, std::uint64_t otherwise, Range<std::uint64_t> range = k_any_size) const;

  /// A list of texts; an empty one is there, too.
  std::optional<std::vector<std::string>> texts(const std::string& key) const;
  std::vector<std::string> texts(const std::string& key, const std::vector<std::string>& otherwise) const;
  /// The same, where a single text may stand for a list of one.
  std::optional<std::vector<std::string>> text_or_texts(const std::string& key) const;

  /// One of some words, given with what each means.
  template <class Meaning>
  Meaning choice(const std::string& key, const std::vector<std::pair<std::string, Meaning>>& words,
                 Meaning otherwise) const {
    std::vector<std::string> names;
    names.reserve(words.size());
    for (const auto& word : words) names.push_back(word.first);
    const auto index = choice_of(key, names);
    return index ? words[*index].second : otherwise;
  }
  /// The index of the word.
  std::optional<std::size_t> choice_of(const std::string& key, const std::vector<std::string>& words) const;

  /// A command: a string for sh becomes {"/bin/sh", "-c", STRING}, a list is taken as it is.
  std::optional<std::vector<std::string>> command(const std::string& key) const;

  /// A file's name: "~/" is the home directory, and what is relative begins at the configuration file.
  std::optional<std::string> path(const std::string& key) const;

  /// The table [this.key], there or not.
  Table table(const std::string& key) const;
  /// All tables [this.key.NAME], in the order of the file.
  std::vector<Table> tables(const std::string& key) const;

  /// Adds a fault at the key's value, or at the table's header when the key is missing.
  void fault(const std::string& key, const std::string& text) const;
  /// Where fault() would put it.
  Place place(const std::string& key) const;
  const std::string& file() const;
  /// The state of that file; nothing when the text came from elsewhere.
  const std::optional<FileStatus>& file_status() const;

 private:
  friend class Document;
  Table(State* state, const Node* node, Place place, std::string name, std::string path, std::string pattern);
  const Node* ask(const std::string& key) const;
  const std::string* ask_text(const std::string& key, const char* need) const;
  std::optional<Duration> duration_in(const std::string& key, Range<Duration> range) const;
  std::optional<std::uint64_t> size_in(const std::string& key, Range<std::uint64_t> range) const;
  std::optional<std::vector<std::string>> texts_in(const std::string& key, const Node& list) const;
  void fault_at(Place place, const std::string& key, std::string text) const;
  std::string dotted(const std::string& key) const;

  State* state_;
  const Node* node_;  // null when the table is not there
  Place place_;
  std::string name_;
  std::string path_;     // "provider.isp"
  std::string pattern_;  // "provider.NAME"
};

}  // namespace odmr::config
