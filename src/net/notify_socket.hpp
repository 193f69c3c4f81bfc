#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/file.hpp"

namespace odmr::net {

/// The service manager that started this process, told how the service is: sd_notify(3), whose protocol is datagrams of
/// NAME=VALUE lines to the socket that $NOTIFY_SOCKET names. Silent where there is none.
class NotifySocket {
 public:
  /// Reads the environment, and takes out of it what is for this process alone ($NOTIFY_SOCKET, $WATCHDOG_*,
  /// $LISTEN_*): a command that we start must not speak in our name. Error: the socket is named, and cannot be had.
  static Result<NotifySocket> of_environment();
  /// `address`: a path, or "@NAME" for an abstract one. Errors: malformed, io.
  static Result<NotifySocket> open(const std::string& address);
  /// One that tells nobody.
  NotifySocket() = default;

  using Lines = std::vector<std::pair<std::string, std::string>>;
  /// What cannot be told is lost.
  void tell(const Lines& lines) const;

  bool is_open() const { return socket_.is_open(); }
  int descriptor() const { return socket_.get(); }
  /// How often WATCHDOG=1 has to be told at the least; none: never.
  std::optional<Duration> watchdog() const { return watchdog_; }

 private:
  Descriptor socket_;
  std::string address_;  // sockaddr_un, as it is sent to
  std::optional<Duration> watchdog_;
};

/// The datagram. A line end in a value, which would begin another line, becomes a space.
std::string notification(const NotifySocket::Lines& lines);
/// What $WATCHDOG_USEC and $WATCHDOG_PID (null: not set) say to the process `own`.
std::optional<Duration> watchdog_interval(const char* microseconds, const char* process, pid_t own);
/// MONOTONIC_USEC of a reload that begins now.
std::string monotonic_microseconds();

}  // namespace odmr::net
