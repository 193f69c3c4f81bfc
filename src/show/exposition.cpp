#include "show/exposition.hpp"

#include "base/ascii.hpp"

namespace odmr::show {

namespace {

// In a label's value.
std::string quoted(const std::string& text) {
  std::string out;
  for (const char c : escape(text)) {
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string text_of(const Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) out += (out.empty() ? "{" : ",") + name + "=\"" + quoted(value) + "\"";
  return out.empty() ? out : out + "}";
}

std::int64_t seconds_of(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace odmr::show
