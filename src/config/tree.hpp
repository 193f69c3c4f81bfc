#pragma once

#include <map>
#include <set>

#include "config/document.hpp"

// The room's own view of a file, free of the TOML library.
namespace odmr::config {

struct Entry;

struct Node {
  enum class Kind { text, integer, fraction, boolean, time, list, table };
  Kind kind = Kind::table;
  Place place;
  std::string text;
  std::int64_t integer = 0;
  bool boolean = false;
  std::vector<Node> items;     // of a list
  std::vector<Entry> entries;  // of a table, in the order of the file

  const Entry* find(std::string_view key) const;
};

struct Entry {
  std::string key;
  Place place;  // of the key
  Node value;
};

struct State {
  std::string file;
  std::optional<FileStatus> status;
  Node root;
  std::vector<Fault> faults;
  std::map<const Node*, std::set<std::string>> asked;  // by table, of those that are there
  std::set<std::string> patterns;                      // of every key asked for
};

/// Reads TOML.
tl::expected<Node, Fault> parse_toml(std::string_view text, const std::string& file);

/// "a text", "a whole number" …
std::string_view describe(Node::Kind kind);

/// A key as it is written in a file: quoted where it must be.
std::string written(std::string_view key);

}  // namespace odmr::config
