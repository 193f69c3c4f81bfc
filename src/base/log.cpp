#include "base/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <syslog.h>

#include <mutex>

#include "base/ascii.hpp"
#include "base/system_log.hpp"

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

std::string text_line(std::string_view event, const std::vector<Log::Field>& fields) {
  std::string line = escape(event, k_longest_value);
  for (const auto& [key, value] : fields) line += " " + std::string(key) + "=" + text_value(value);
  return line;
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
    std::string line;
    if (format_ == LogFormat::json) {
      line = "\"event\":" + json_text(event);
      for (const auto& [key, value] : fields) line += "," + json_text(key) + ":" + json_text(value);
    } else {
      line = text_line(event, fields);
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

// The same lines, to journald: with their level, and with the fields, of which each can be looked for.
class JournalLog final : public Log {
 public:
  explicit JournalLog(Level level) : level_(level) {}
  bool wants(Level level) const override { return level <= level_; }

 private:
  void write(Level level, std::string_view event, const Writable& fields) override {
    const std::string line = text_line(event, fields);
    Writable safe;
    for (const auto& [key, value] : fields) safe.emplace_back(key, escape(value, k_longest_value));
    if (socket_.send(level, line, safe)) return;
    // journald takes the level also from what it reads of stderr.
    const std::lock_guard lock(mutex_);
    std::fprintf(stderr, "<%d>%s\n", priority(level), line.c_str());
    std::fflush(stderr);
  }

  Level level_;
  JournalSocket socket_;
  std::mutex mutex_;
};

class SyslogLog final : public Log {
 public:
  explicit SyslogLog(Level level) : level_(level) { ::openlog(nullptr, LOG_PID, LOG_MAIL); }
  bool wants(Level level) const override { return level <= level_; }

 private:
  void write(Level level, std::string_view event, const Writable& fields) override {
    ::syslog(priority(level), "%s", text_line(event, fields).c_str());
  }

  Level level_;
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
  const auto goes = where_stderr_goes();
  if (goes == StderrGoes::to_journal && format == LogFormat::text) return std::make_unique<JournalLog>(level);
  if (goes == StderrGoes::nowhere) return std::make_unique<SyslogLog>(level);
  return std::make_unique<StderrLog>(level, format, std::move(before_line));
}

Log& silent_log() {
  static SilentLog log;
  return log;
}

}  // namespace odmr
