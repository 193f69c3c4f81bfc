#include <toml++/toml.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "config/tree.hpp"

namespace odmr::config {

namespace {

Place to_place(const toml::source_position& position) {
  return {position.line, position.column};
}

Node convert(const toml::node& from);

void convert_entries(const toml::table& from, Node& into) {
  for (const auto& [key, value] : from) {
    into.entries.push_back({std::string(key.str()), to_place(key.source().begin), convert(value)});
  }
  std::stable_sort(into.entries.begin(), into.entries.end(),
                   [](const Entry& a, const Entry& b) { return a.place < b.place; });
}

Node convert(const toml::node& from) {
  Node node;
  node.place = to_place(from.source().begin);
  if (const auto* table = from.as_table()) {
    node.kind = Node::Kind::table;
    convert_entries(*table, node);
  } else if (const auto* list = from.as_array()) {
    node.kind = Node::Kind::list;
    for (const auto& item : *list) node.items.push_back(convert(item));
  } else if (const auto* text = from.as_string()) {
    node.kind = Node::Kind::text;
    node.text = text->get();
  } else if (const auto* integer = from.as_integer()) {
    node.kind = Node::Kind::integer;
    node.integer = integer->get();
  } else if (const auto* boolean = from.as_boolean()) {
    node.kind = Node::Kind::boolean;
    node.boolean = boolean->get();
  } else {
    node.kind = from.is_floating_point() ? Node::Kind::fraction : Node::Kind::time;
  }
  return node;
}

std::string_view line_of(std::string_view text, unsigned line) {
  for (; line > 1; --line) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

// What the library says about a line that sets a password may quote it.
bool holds_a_secret(std::string_view line) {
  return line.find("password") < line.find('=');
}

// The mistake that is made most: key = text.
bool lacks_quotes(std::string_view line) {
  const auto equals = line.find('=');
  if (equals == std::string_view::npos) return false;
  const std::string_view value = trim(line.substr(equals + 1));
  return !value.empty() && (is_alpha(value[0]) || value[0] == '/' || value[0] == '~');
}

std::string explain(const toml::parse_error& error, std::string_view line) {
  std::string text = "not TOML";
  if (!holds_a_secret(line)) text += ": " + escape(error.what());
  if (lacks_quotes(line)) text += R"(; a text stands in quotes: key = "text")";
  return text;
}

}  // namespace

tl::expected<Node, Fault> parse_toml(std::string_view text, const std::string& file) {
  try {
    const toml::table parsed = toml::parse(text);
    Node root;
    root.place = {1, 1};
    convert_entries(parsed, root);
    return root;
  } catch (const toml::parse_error& error) {
    const Place place = to_place(error.source().begin);
    return tl::unexpected(Fault{file, place, {}, explain(error, line_of(text, place.line))});
  }
}

}  // namespace odmr::config
