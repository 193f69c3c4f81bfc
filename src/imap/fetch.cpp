#include "imap/fetch.hpp"

#include <algorithm>
#include <limits>

#include "base/ascii.hpp"
#include "imap/response.hpp"

namespace odmr::imap {

namespace {

constexpr std::size_t k_deepest = 100;  // no item that we ask for has any

}  // namespace

std::optional<FetchItems::Next> FetchItems::read(std::string_view line) {
  if (!has_begun_) {
    if (line.empty() || line.front() != '(') return std::nullopt;
    line.remove_prefix(1);
    has_begun_ = true;
    depth_ = 1;
  }
  const auto literal = literal_behind(line);
  if (literal) {
    literal_ = *literal;
    line.remove_suffix(line.size() - line.rfind('{'));
  }
  while (!line.empty() && depth_ > 0) {
    const char c = line.front();
    if (c == ' ') {
      line.remove_prefix(1);
    } else if (c == '(') {
      if (++depth_ > k_deepest || item_ == Item::none) return std::nullopt;
      line.remove_prefix(1);
    } else if (c == ')') {
      // The end of the whole is no value.
      if (--depth_ == 0 && item_ != Item::none) return std::nullopt;
      if (depth_ == 1) item_ = Item::none;
      line.remove_prefix(1);
    } else if (!(item_ == Item::none ? take_name(line) : take_value(line))) {
      return std::nullopt;
    }
  }
  if (depth_ == 0) return line.empty() && !literal ? std::optional(Next::end) : std::nullopt;
  if (!literal) return std::nullopt;
  const bool is_body = item_ == Item::body && depth_ == 1;
  if (item_ == Item::none || (is_body && has_body_)) return std::nullopt;
  has_body_ = has_body_ || is_body;
  if (depth_ == 1) item_ = Item::none;
  return is_body ? Next::body : Next::literal;
}

// RFC 3501 9, msg-att: a name may have a section in brackets, which may hold blanks, and an offset behind it.
bool FetchItems::take_name(std::string_view& line) {
  std::size_t end = 0;
  for (bool is_inside = false; end < line.size(); ++end) {
    if (line[end] == '[') is_inside = true;
    if (line[end] == ']') is_inside = false;
    if (!is_inside && (line[end] == ' ' || line[end] == '(' || line[end] == ')')) break;
  }
  const std::string_view name = line.substr(0, end);
  line.remove_prefix(end);
  if (equals_ignoring_case(name, "UID"))
    item_ = Item::uid;
  else if (equals_ignoring_case(name, "RFC822.SIZE"))
    item_ = Item::size;
  else if (equals_ignoring_case(name, "BODY[]"))
    item_ = Item::body;
  else
    item_ = Item::other;
  return !name.empty();
}

bool FetchItems::take_value(std::string_view& line) {
  const bool is_good = line.front() == '"' ? take_quoted(line) : take_atom(line);
  if (is_good && depth_ == 1) item_ = Item::none;
  return is_good;
}

bool FetchItems::take_quoted(std::string_view& line) {
  std::string text;
  std::size_t at = 1;
  for (; at < line.size() && line[at] != '"'; ++at) {
    if (line[at] == '\\') ++at;
    if (at < line.size()) text += line[at];
  }
  if (at >= line.size()) return false;
  line.remove_prefix(at + 1);
  if (item_ != Item::body || depth_ != 1) return true;
  if (has_body_) return false;
  has_body_ = true;
  quoted_body_ = std::move(text);
  return true;
}

bool FetchItems::take_atom(std::string_view& line) {
  const auto end = std::min(line.find_first_of(" ()\""), line.size());
  const std::string_view atom = line.substr(0, end);
  line.remove_prefix(end);
  if (atom.empty()) return false;
  if (depth_ != 1) return true;
  const auto number = parse_number(atom);
  if (item_ == Item::uid) {
    if (!number || *number == 0 || *number > std::numeric_limits<std::uint32_t>::max()) return false;
    uid_ = static_cast<std::uint32_t>(*number);
  }
  if (item_ == Item::size) {
    if (!number) return false;
    size_ = number;
  }
  // NIL: it is not there any more (RFC 3501 7.4.2).
  if (item_ == Item::body && !equals_ignoring_case(atom, "NIL")) return false;
  return true;
}

}  // namespace odmr::imap
