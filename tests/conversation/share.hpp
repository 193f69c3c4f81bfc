#pragma once

#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

namespace odmr::conversation {

/// Under a sanitizer there are too many points for each run of the tests: one in so many is taken, each time another
/// part (ODMR_SEED repeats one). With ODMR_EVERY_BYTE=1 all are.
class Share {
 public:
  explicit Share(unsigned one_in) : one_in_(is_thorough() ? 1 : one_in), engine_(seed()) {}
  bool takes_next() { return engine_() % one_in_ == 0; }
  std::string text() const {
    return one_in_ == 1 ? "all" : "one in " + std::to_string(one_in_) + ", seed " + std::to_string(seed());
  }

 private:
  static bool is_thorough() {
    const char* const value = std::getenv("ODMR_EVERY_BYTE");
    return value != nullptr && *value != '\0';
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
