#include "base/outcome.hpp"

#include <sysexits.h>

#include <array>
#include <cstddef>

namespace odmr {

namespace {

struct Row {
  std::string_view name;
  int exit_status;
};

// In the order of the enumeration.
constexpr std::array<Row, 14> k_rows{{
    {"no-mail", EX_OK},
    {"fetched", EX_OK},
    {"sent", EX_OK},
    {"deferred", EX_TEMPFAIL},
    {"unavailable", EX_TEMPFAIL},
    {"locked", EX_TEMPFAIL},
    {"local-down", EX_UNAVAILABLE},
    {"protocol", EX_PROTOCOL},
    {"tls", EX_PROTOCOL},
    {"auth", EX_NOPERM},
    {"refused", EX_NOPERM},
    {"config", EX_CONFIG},
    {"state", EX_CANTCREAT},
    {"bug", EX_SOFTWARE},
}};
static_assert(k_rows.size() == static_cast<std::size_t>(Outcome::bug) + 1);

}  // namespace

std::string_view name(Outcome outcome) {
  return k_rows.at(static_cast<std::size_t>(outcome)).name;
}

std::optional<Outcome> outcome_named(std::string_view word) {
  for (std::size_t i = 0; i < k_rows.size(); ++i) {
    if (k_rows[i].name == word) return static_cast<Outcome>(i);
  }
  return std::nullopt;
}

int exit_status(Outcome outcome) {
  return k_rows.at(static_cast<std::size_t>(outcome)).exit_status;
}

}  // namespace odmr
