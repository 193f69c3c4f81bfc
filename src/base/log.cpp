#include "base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <mutex>

#include "base/ascii.hpp"

namespace odmr {

namespace {

constexpr std::size_t k_longest_value = 2000;

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::error:
      return spdlog::level::err;
    case Level::warn:
      return spdlog::level::warn;
    case Level::info:
      return spdlog::level::info;
    case Level::debug:
      return spdlog::level::debug;
    case Level::trace:
      return spdlog::level::trace;
  }
  return spdlog::level::err;
}

// Quoted where a reader, or a program, could not tell where the value ends.
std::string text_value(const std::string& value) {
  std::string safe = escape(value, k_longest_value);
  if (!safe.empty() && safe.find_first_of(" \"=") == std::string::npos) return safe;
  std::string out = "\"";
  for (const char c : safe) {
    if (c == '"') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string json_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : escape(text, k_longest_value)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

class StderrLog final : public Log {
 public:
  StderrLog(Level level, LogFormat format, std::function<void()> before_line)
      : level_(level),
        format_(format),
        before_line_(std::move(before_line)),
        logger_("odmr", std::make_shared<spdlog::sinks::stderr_sink_st>()) {
    logger_.set_level(spdlog::level::trace);
    logger_.set_pattern(format == LogFormat::json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})" : "%l: %v",
                        format == LogFormat::json ? spdlog::pattern_time_type::utc : spdlog::pattern_time_type::local);
    logger_.flush_on(spdlog::level::trace);
  }

  bool wants(Level level) const override { return level <= level_; }

 private:
  void write(Level level, std::string_view event, const Writable& fields) override {
    std::string line = format_ == LogFormat::json ? "\"event\":" + json_text(event) : escape(event, k_longest_value);
    for (const auto& [key, value] : fields) {
      if (format_ == LogFormat::json) {
        line += "," + json_text(key) + ":" + json_text(value);
      } else {
        line += " " + std::string(key) + "=" + text_value(value);
      }
    }
    // The thread that works on the disk has things to say, too.
    const std::lock_guard lock(mutex_);
    if (before_line_) before_line_();
    logger_.log(to_spdlog(level), "{}", line);
  }

  Level level_;
  LogFormat format_;
  std::function<void()> before_line_;
  std::mutex mutex_;
  spdlog::logger logger_;
};

class SilentLog final : public Log {
 public:
  bool wants(Level /*level*/) const override { return false; }

 private:
  void write(Level /*level*/, std::string_view /*event*/, const Writable& /*fields*/) override {}
};

}  // namespace

void ScopedLog::write(Level level, std::string_view event, const Writable& fields) {
  Writable all = always_;
  all.insert(all.end(), fields.begin(), fields.end());
  parent_.write(level, event, all);
}

std::unique_ptr<Log> make_stderr_log(Level level, LogFormat format, std::function<void()> before_line) {
  return std::make_unique<StderrLog>(level, format, std::move(before_line));
}

Log& silent_log() {
  static SilentLog log;
  return log;
}

}  // namespace odmr
