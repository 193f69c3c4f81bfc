#pragma once

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>

namespace odmr::conversation {

/// Under a sanitizer there are too many points for each run of the tests: one in so many is taken, each time another
/// part (ODMR_SEED repeats one). ODMR_ONE_IN=N takes one in N instead, where that is more; ODMR_ONE_IN=1 all of them.
class Share {
 public:
  explicit Share(unsigned one_in) : one_in_(std::min(one_in, most())), engine_(seed()) {}
  bool takes_next() { return engine_() % one_in_ == 0; }
  std::string text() const {
    return one_in_ == 1 ? "all" : "one in " + std::to_string(one_in_) + ", seed " + std::to_string(seed());
  }

 private:
  static unsigned most() {
    const char* const value = std::getenv("ODMR_ONE_IN");
    const auto given = value != nullptr ? static_cast<unsigned>(std::strtoul(value, nullptr, 10)) : 0;
    return given != 0 ? given : std::numeric_limits<unsigned>::max();
  }
  static unsigned seed() {
    static const unsigned chosen = [] {
      const char* const given = std::getenv("ODMR_SEED");
      return given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
    }();
    return chosen;
  }

  unsigned one_in_;
  std::mt19937 engine_;
};

}  // namespace odmr::conversation
