#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace odmr {

enum class Level { error, warn, info, debug, trace };

/// One line per event: what happened, and key=value fields. Values are strangers' words more often than not, so the
/// log escapes every one of them.
class Log {
 public:
  using Field = std::pair<std::string_view, std::string>;
  using Fields = std::initializer_list<Field>;

  virtual ~Log() = default;

  void error(std::string_view event, Fields fields = {}) { line(Level::error, event, fields); }
  void warn(std::string_view event, Fields fields = {}) { line(Level::warn, event, fields); }
  void info(std::string_view event, Fields fields = {}) { line(Level::info, event, fields); }
  void debug(std::string_view event, Fields fields = {}) { line(Level::debug, event, fields); }
  void trace(std::string_view event, Fields fields = {}) { line(Level::trace, event, fields); }

  /// Whether a line of this level goes anywhere: ask before building an expensive one.
  virtual bool wants(Level level) const = 0;

 protected:
  using Writable = std::vector<Field>;
  virtual void write(Level level, std::string_view event, const Writable& fields) = 0;

 private:
  void line(Level level, std::string_view event, Fields fields) {
    if (wants(level)) write(level, event, Writable(fields));
  }
  friend class ScopedLog;
};

/// A log whose every line carries the given fields in front (session=…, provider=…).
class ScopedLog final : public Log {
 public:
  ScopedLog(Log& parent, Writable always) : parent_(parent), always_(std::move(always)) {}
  bool wants(Level level) const override { return parent_.wants(level); }

 private:
  void write(Level level, std::string_view event, const Writable& fields) override;

  Log& parent_;
  Writable always_;
};

enum class LogFormat { text, json };

/// The log of a program: one line per event to stderr. `before_line` is called first each time: it wipes a progress
/// line off the same terminal.
std::unique_ptr<Log> make_stderr_log(Level level, LogFormat format, std::function<void()> before_line = {});

/// A log that says nothing.
Log& silent_log();

}  // namespace odmr
