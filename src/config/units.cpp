#include "config/units.hpp"

#include <fmt/format.h>

#include <array>
#include <limits>

#include "base/ascii.hpp"

namespace odmr::config {

namespace {

using std::chrono::milliseconds;

struct TimeUnit {
  std::string_view name;
  milliseconds length;
};
// The largest first.
constexpr std::array<TimeUnit, 5> k_time_units{{{"d", std::chrono::hours(24)},
                                                {"h", std::chrono::hours(1)},
                                                {"m", std::chrono::minutes(1)},
                                                {"s", std::chrono::seconds(1)},
                                                {"ms", milliseconds(1)}}};

struct SizeUnit {
  std::string_view name;
  std::string_view mistaken;  // other ways to write it that are not taken, since some mean steps of 1000
  unsigned bits;
};
constexpr std::array<SizeUnit, 5> k_size_units{
    {{"B", "", 0}, {"KiB", "K", 10}, {"MiB", "M", 20}, {"GiB", "G", 30}, {"TiB", "T", 40}}};

struct Amount {
  std::string_view number;
  std::string_view unit;
};

Amount split(std::string_view text) {
  std::size_t digits = 0;
  while (digits < text.size() && is_digit(text[digits])) ++digits;
  return {text.substr(0, digits), text.substr(digits)};
}

tl::unexpected<Error> malformed(std::string_view text, std::string_view what) {
  return fail(Errc::malformed, fmt::format("\"{}\" {}", escape(text, 60), what));
}

// "50MB", "50 MB", "50M" and "50mb" all want to be "50MiB".
bool is_mistaken_for(std::string_view written, const SizeUnit& unit) {
  std::string plain = upper(trim(written));
  if (plain == upper(unit.name)) return true;
  if (plain.ends_with('B')) plain.pop_back();
  return plain == unit.mistaken;
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  constexpr auto most = std::chrono::duration_cast<milliseconds>(Duration::max());
  const auto [digits, name] = split(text);
  if (!digits.empty() && name.empty()) {
    return malformed(text, fmt::format("has no unit; write \"{}s\", or m, h, d for the s", escape(digits, 40)));
  }
  for (const auto& unit : k_time_units) {
    if (name != unit.name) continue;
    const auto number = parse_number(digits);
    if (!number) break;
    if (*number > static_cast<std::uint64_t>(most / unit.length)) return malformed(text, "is too long");
    return unit.length * static_cast<milliseconds::rep>(*number);
  }
  return malformed(text, R"(is no duration; write a whole number and a unit: "90s", "5m", "2h" or "5d")");
}

std::string to_text(Duration duration) {
  const auto whole = std::chrono::duration_cast<milliseconds>(duration);
  for (const auto& unit : k_time_units) {
    if (whole.count() != 0 && whole % unit.length == milliseconds::zero()) {
      return fmt::format("{}{}", whole / unit.length, unit.name);
    }
  }
  return "0s";
}

Result<std::uint64_t> parse_size(std::string_view text) {
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  const auto [digits, name] = split(text);
  for (const auto& unit : k_size_units) {
    const auto number = parse_number(digits);
    if (!number) break;
    if (name == unit.name && *number > (most >> unit.bits)) return malformed(text, "is too large");
    if (name == unit.name) return *number << unit.bits;
    if (!name.empty() && is_mistaken_for(name, unit)) {
      return malformed(text, fmt::format("is no size; write \"{}{}\"", *number, unit.name));
    }
  }
  return malformed(text, R"(is no size; write a whole number and a unit: "64KiB", "50MiB" or "2GiB")");
}

}  // namespace odmr::config
