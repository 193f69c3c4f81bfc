#pragma once

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <memory>

#include "base/log.hpp"
#include "base/stop.hpp"

namespace odmr::app {

/// SIGTERM, SIGINT and, unless it means something else to the caller, SIGHUP as the wish to stop: the first signal asks
/// for the transaction in hand to be finished, within `grace`; the end of that, or a second signal, asks to leave at
/// once. In a run that is `supervised` SIGTERM asks for the former, however often, and SIGINT for the latter
/// (watch::k_finish, watch::k_leave).
class SignalStop {
 public:
  SignalStop(asio::io_context& loop, Clock& clock, Stop& stop, Duration grace, Log& log, bool is_supervised = false,
             bool hangup_stops = true);

  /// The work is done: signals no longer keep the loop from running empty.
  void forget();

 private:
  void wait();
  void on_signal(int number);

  asio::signal_set signals_;
  Clock& clock_;
  Stop& stop_;
  Duration grace_;
  Log& log_;
  const bool is_supervised_;
  std::unique_ptr<Alarm> grace_over_;
  bool is_forgotten_ = false;
};

}  // namespace odmr::app
