#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/clock.hpp"

namespace odmr::show {

// The text format of Prometheus (version 0.0.4).

using Labels = std::vector<std::pair<std::string, std::string>>;
/// "{name="value",…}", strangers' words escaped; empty for none.
std::string text_of(const Labels& labels);

/// As timestamps are given.
std::int64_t seconds_of(WallTime time);

/// The samples of one name stand together below its HELP and TYPE; a name without any is left out.
class Family {
 public:
  Family(std::string& to, std::string name, const char* type, std::string help)
      : to_(to), name_(std::move(name)), type_(type), help_(std::move(help)) {}

  template <class Number>
  void add(const Labels& labels, Number value) {
    if (!std::exchange(has_begun_, true))
      to_ += "# HELP " + name_ + " " + help_ + "\n# TYPE " + name_ + " " + type_ + "\n";
    to_ += fmt::format("{}{} {}\n", name_, text_of(labels), value);
  }

 private:
  std::string& to_;
  std::string name_;
  const char* type_;
  std::string help_;
  bool has_begun_ = false;
};

}  // namespace odmr::show
