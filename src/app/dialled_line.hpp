#pragma once

#include <optional>

#include "app/line_settings.hpp"
#include "base/stop.hpp"
#include "confine/helper.hpp"
#include "line/line.hpp"
#include "net/worker.hpp"

namespace odmr::app {

/// The commands of a line, in the helper.
class HelperCommands final : public line::Commands {
 public:
  explicit HelperCommands(const Result<confine::Helper>& helper) : helper_(helper) {}
  Result<std::string> begin(const line::Command& command, Duration patience) override;
  void interrupt() override { interruption_.interrupt(); }
  Result<std::string> complete(const line::Command& command, Duration patience) override;
  Result<void> bequeath(const line::Command& command, Duration patience) override;

 private:
  const Result<confine::Helper>& helper_;
  confine::Interruption interruption_;
};

/// The line for who uses the network: brought up before, taken down behind. Nothing happens where it is not configured.
/// The helper takes it down where we end without that; it has to know the commands (commands_of()).
class DialledLine {
 public:
  /// All of it outlives this. The worker is for who can wait for a command.
  DialledLine(const LineSettings& settings, const Result<confine::Helper>& helper, net::Worker& worker, Clock& clock,
              Log& log, Stop& stop);

  /// Error: a sentence with the command's status and last words, escaped; interrupted, when `stop` is asked for.
  /// take_down() is due all the same.
  net::Task<Result<void>> bring_up();
  /// Whatever else is asked for meanwhile. What goes wrong is in the log.
  net::Task<> take_down();

  /// From bring_up() on: until then the far side may be out of reach still.
  TimePoint due() const { return due_; }

 private:
  const LineSettings& settings_;
  HelperCommands commands_;
  line::Line line_;
  net::Worker& worker_;
  Clock& clock_;
  Log& log_;
  Stop& stop_;
  TimePoint due_ = TimePoint::min();
};

}  // namespace odmr::app
