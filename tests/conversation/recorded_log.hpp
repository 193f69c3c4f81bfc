#pragma once

#include <string>

#include "base/log.hpp"

namespace odmr::test {

/// Every line as "level event key=value…".
class RecordedLog final : public Log {
 public:
  bool wants(Level /*level*/) const override { return true; }
  bool has(const std::string& words) const { return text.find(words) != std::string::npos; }

  std::string text;

 private:
  void write(Level level, std::string_view event, const Writable& fields) override {
    text += name(level);
    text += ' ';
    text += event;
    for (const auto& [key, value] : fields) text += " " + std::string(key) + "=" + value;
    text += '\n';
  }

  static const char* name(Level level) {
    switch (level) {
      case Level::error:
        return "error";
      case Level::warn:
        return "warn";
      case Level::info:
        return "info";
      case Level::debug:
        return "debug";
      case Level::trace:
        break;
    }
    return "trace";
  }
};

}  // namespace odmr::test
