#pragma once

#include <asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "app/signal_stop.hpp"
#include "net/system_network.hpp"

namespace odmr::app {

/// How many sessions there may be at once.
struct Room {
  std::size_t for_all = 0;
  std::size_t for_one = 0;  ///< as net::counted_as() has it; 0: as many as for all
};

/// Attends to whoever connects: a session for each, side by side, until a signal. Then nobody new is let in, who is not
/// inside a transaction is sent away, and the others have `grace`.
class Attendance {
 public:
  /// Holds one session; `number` is its place in the order of arrival, `log` names it in every line.
  using Session = std::function<net::Task<>(net::Stream stream, std::uint64_t number, Log& log)>;

  struct Door {
    std::unique_ptr<net::Listener> listener;
    Session session;
    std::string too_many;  ///< said to who comes when there is no room; empty: nothing
  };

  Attendance(asio::io_context& loop, Clock& clock, Duration grace, Room room, Log& log, bool hangup_stops = true);

  void open(Door door);
  /// A session with somebody who is there already.
  void begin(net::Stream stream, const Session& session);
  /// Something that goes on beside the sessions and ends by itself when stop() is asked for.
  void begin(net::Task<> work);
  /// Until all doors are shut, all sessions over, and all work done.
  void run();

  Stop& stop() { return stop_; }

 private:
  void shut();
  void finished(const std::exception_ptr& bug);
  bool has_room_for(const std::string& one) const;
  void leave(const std::string& one);
  net::Task<> accept_all(const Door& door);
  net::Task<> attend(net::Stream stream, const Session& session, std::uint64_t number);
  net::Task<> turn_away(net::Stream stream, const std::string& reply);

  asio::io_context& loop_;
  Clock& clock_;
  const Room room_;
  Log& log_;
  Stop stop_;
  SignalStop signals_;
  Stop::Listener on_stop_;
  std::list<Door> doors_;
  std::size_t under_way_ = 0;  // sessions, doors that are open, and work
  std::size_t sessions_ = 0;
  std::map<std::string, std::size_t> sessions_of_;  // by net::counted_as()
  std::uint64_t last_number_ = 0;
};

}  // namespace odmr::app
