#include "app/signal_stop.hpp"

#include <csignal>
#include <string>

namespace odmr::app {

SignalStop::SignalStop(asio::io_context& loop, Clock& clock, Stop& stop, Duration grace, Log& log, bool is_supervised,
                       bool hangup_stops)
    : signals_(loop, SIGINT, SIGTERM),
      clock_(clock),
      stop_(stop),
      grace_(grace),
      log_(log),
      is_supervised_(is_supervised),
      grace_over_(clock.alarm([this] { stop_.advance(Stop::Phase::leave); })) {
  // A terminal that is closed must not cut a message; nohup's wish is left as it is.
  struct sigaction hangup {};
  const bool is_heard = sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN;
  if (hangup_stops && is_heard) signals_.add(SIGHUP);
  wait();
}

// A signal that has been caught already may still call on_signal(): it must not wait for another one, or the loop
// would never run empty.
void SignalStop::forget() {
  is_forgotten_ = true;
  grace_over_->clear();
  std::error_code ignored;
  signals_.cancel(ignored);
}

void SignalStop::wait() {
  signals_.async_wait([this](std::error_code error, int number) {
    if (!error && !is_forgotten_) on_signal(number);
  });
}

void SignalStop::on_signal(int number) {
  const std::string name = number == SIGINT ? "SIGINT" : number == SIGHUP ? "SIGHUP" : "SIGTERM";
  const bool leaves = is_supervised_ ? number == SIGINT : stop_.requested();
  if (leaves) {
    log_.warn("second signal: leaving at once", {{"signal", name}});
    stop_.advance(Stop::Phase::leave);
  } else if (!stop_.requested()) {
    log_.info("stopping: the message in hand is finished first", {{"signal", name}});
    grace_over_->set(clock_.now() + grace_);
    stop_.advance(Stop::Phase::finish);
  }
  wait();
}

}  // namespace odmr::app
