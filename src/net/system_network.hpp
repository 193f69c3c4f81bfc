#pragma once

#include <sys/types.h>

#include <asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/network.hpp"
#include "net/program.hpp"

namespace odmr::net {

/// The clock on the wall and the one that never jumps, with alarms on the event loop.
class SystemClock final : public Clock {
 public:
  explicit SystemClock(asio::io_context& loop) : loop_(loop) {}
  TimePoint now() const override { return std::chrono::steady_clock::now(); }
  WallTime wall() const override { return std::chrono::system_clock::now(); }
  std::unique_ptr<Alarm> alarm(std::function<void()> ring) override;

 private:
  asio::io_context& loop_;
};

/// Sockets, and programs where it is told how to begin one.
class SystemNetwork final : public Network {
 public:
  explicit SystemNetwork(asio::io_context& loop, BeginProgram begin_program = nullptr)
      : loop_(loop), clock_(loop), begin_program_(std::move(begin_program)) {}
  Clock& clock() override { return clock_; }
  Task<Result<Stream>> connect(const Endpoint& endpoint, Duration patience, Stop& stop) override;
  Task<Result<std::vector<std::string>>> addresses(const Endpoint& endpoint, Duration patience, Stop& stop) override;
  Task<Result<std::vector<std::string>>> mail_exchangers(const std::string& domain, Duration patience,
                                                         Stop& stop) override;

 private:
  Task<Result<Stream>> connect_straight(const Endpoint& endpoint, Duration patience, Stop& stop);

  asio::io_context& loop_;
  SystemClock clock_;
  BeginProgram begin_program_;
};

/// A listening socket. Of a caller on a Unix socket the Stream's peer() is "uid 1000", as the system swears.
class Listener {
 public:
  /// `address` is "ADDRESS:PORT", "[::]:366", port 0 lets the system choose. "[::]" takes IPv4 too. Or it is the path
  /// of a Unix socket, open to everybody, whose folder is made (0755) where it is missing; what a dead process has left
  /// there is replaced, and close() removes it. Errors: malformed; busy, a living process listens there; system errors.
  static Result<std::unique_ptr<Listener>> open(asio::io_context& loop, Clock& clock, const std::string& address);
  /// The sockets that were passed to this process (sd_listen_fds(3)); none mostly. Asked once. Errors: malformed, what
  /// was passed is no listening stream socket.
  static Result<std::vector<std::unique_ptr<Listener>>> passed(asio::io_context& loop, Clock& clock);
  /// The same by their names (FileDescriptorName=; "unknown" where it has none). Errors: malformed also where two have
  /// one name.
  static Result<std::map<std::string, std::unique_ptr<Listener>>> passed_by_name(asio::io_context& loop, Clock& clock);
  virtual ~Listener() = default;

  /// The next connection. Errors: interrupted after close(); lost, a caller who has gone already, and io: the listener
  /// goes on.
  virtual Task<Result<Stream>> accept() = 0;
  virtual void close() = 0;
  /// Where it listens, with the real port, or the path.
  virtual std::string address() const = 0;
  /// The files of a Unix socket that we made belong to that user and group from now on: for who is about to become him.
  virtual Result<void> give_to(uid_t user, gid_t group) = 0;
};

}  // namespace odmr::net
