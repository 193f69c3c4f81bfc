#include "smtp/capabilities.hpp"

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"

namespace odmr::smtp {

namespace {

// The keyword in upper case, and its parameters.
std::pair<std::string, std::string_view> read_line(std::string_view line) {
  line = trim(line);
  // Servers older than RFC 2554 wrote "AUTH=LOGIN PLAIN", and some still write both forms.
  if (starts_with_ignoring_case(line, "AUTH=")) return {"AUTH", trim(line.substr(5))};
  const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
  return {upper(line.substr(0, end)), trim(line.substr(end))};
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  while (!(text = trim(text)).empty()) {
    const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return out;
}

}  // namespace

Capabilities Capabilities::from(const Reply& ehlo) {
  Capabilities out;
  for (std::size_t i = 1; i < ehlo.lines.size(); ++i) {
    const auto [keyword, parameters] = read_line(ehlo.lines[i]);
    if (keyword.empty()) continue;
    std::string& known = out.keywords_[keyword];
    if (!known.empty() && !parameters.empty()) known += ' ';
    known += parameters;
  }
  return out;
}

bool Capabilities::has(std::string_view keyword) const {
  return keywords_.contains(upper(keyword));
}

std::string_view Capabilities::parameters(std::string_view keyword) const {
  const auto found = keywords_.find(upper(keyword));
  return found == keywords_.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<std::uint64_t> Capabilities::size() const {
  if (!has("SIZE")) return std::nullopt;
  const auto numbers = words(parameters("SIZE"));
  // RFC 1870 4: 0, or no number, says that there is no fixed limit; what cannot be read limits nothing either.
  return numbers.empty() ? 0 : parse_number(numbers.front()).value_or(0);
}

std::vector<std::string> Capabilities::mechanisms() const {
  std::vector<std::string> out;
  for (const std::string_view word : words(parameters("AUTH"))) {
    std::string mechanism = upper(word);
    if (std::find(out.begin(), out.end(), mechanism) == out.end()) out.push_back(std::move(mechanism));
  }
  return out;
}

}  // namespace odmr::smtp
