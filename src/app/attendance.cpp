#include "app/attendance.hpp"

#include <asio/co_spawn.hpp>
#include <exception>
#include <utility>

#include "net/delay.hpp"
#include "net/networks.hpp"

namespace odmr::app {

using net::Task;

Attendance::Attendance(asio::io_context& loop, Clock& clock, Duration grace, Room room, Log& log, bool hangup_stops)
    : loop_(loop),
      clock_(clock),
      room_(room),
      log_(log),
      signals_(loop, clock, stop_, grace, log, false, hangup_stops),
      on_stop_(stop_, [this](Stop::Phase) { shut(); }) {}

void Attendance::open(Door door) {
  doors_.push_back(std::move(door));
  ++under_way_;
  asio::co_spawn(loop_, accept_all(doors_.back()), [this](const std::exception_ptr& bug) { finished(bug); });
}

void Attendance::begin(net::Stream stream, const Session& session) {
  ++under_way_;
  ++sessions_;
  const std::string one = net::counted_as(stream.peer());
  if (!one.empty()) ++sessions_of_[one];
  asio::co_spawn(loop_, attend(std::move(stream), session, ++last_number_), [this, one](const std::exception_ptr& bug) {
    leave(one);
    finished(bug);
  });
}

void Attendance::begin(net::Task<> work) {
  ++under_way_;
  asio::co_spawn(loop_, std::move(work), [this](const std::exception_ptr& bug) { finished(bug); });
}

// Somebody who hangs at all the places that he can get leaves some for the others.
bool Attendance::has_room_for(const std::string& one) const {
  if (sessions_ >= room_.for_all) return false;
  const auto found = sessions_of_.find(one);
  return room_.for_one == 0 || found == sessions_of_.end() || found->second < room_.for_one;
}

void Attendance::leave(const std::string& one) {
  --sessions_;
  const auto found = sessions_of_.find(one);
  if (found != sessions_of_.end() && --found->second == 0) sessions_of_.erase(found);
}

// Not until the loop is empty: a name server that does not answer would keep it from that.
void Attendance::run() {
  while (under_way_ > 0) loop_.run_one();
  signals_.forget();
  loop_.poll();
}

void Attendance::shut() {
  for (auto& door : doors_) door.listener->close();
}

// One session's bug is not the others' end.
void Attendance::finished(const std::exception_ptr& bug) {
  --under_way_;
  if (!bug) return;
  try {
    std::rethrow_exception(bug);
  } catch (const std::exception& error) {
    log_.error("bug: a session ended in an exception", {{"what", error.what()}});
  }
}

Task<> Attendance::accept_all(const Door& door) {
  for (;;) {
    auto stream = co_await door.listener->accept();
    if (stream && has_room_for(net::counted_as(stream->peer()))) {
      begin(std::move(*stream), door.session);
    } else if (stream) {
      ++under_way_;
      asio::co_spawn(loop_, turn_away(std::move(*stream), door.too_many),
                     [this](const std::exception_ptr& bug) { finished(bug); });
    } else if (stream.error().code == Errc::interrupted || stop_.requested()) {
      co_return;
    } else if (stream.error().code != Errc::lost) {
      // Out of descriptors, mostly: asking again at once would only burn time.
      log_.warn("a connection cannot be accepted", {{"why", stream.error().text}});
      co_await net::delay(clock_, std::chrono::seconds(1), stop_);
    }
  }
}

Task<> Attendance::attend(net::Stream stream, const Session& session, std::uint64_t number) {
  ScopedLog log(log_, {{"session", std::to_string(number)}, {"peer", stream.peer()}});
  co_await session(std::move(stream), number, log);
}

Task<> Attendance::turn_away(net::Stream stream, const std::string& reply) {
  log_.warn("turned away: too many connections", {{"peer", stream.peer()}});
  if (!reply.empty()) co_await stream.write(reply, std::chrono::seconds(1));
  co_await stream.finish();
}

}  // namespace odmr::app
