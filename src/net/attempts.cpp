#include "net/attempts.hpp"

#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <asio/error.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "net/names.hpp"
#include "net/socket.hpp"

namespace odmr::net {

namespace {

using asio::ip::tcp;
using Socket = asio::generic::stream_protocol::socket;

constexpr auto k_as_tuple = asio::experimental::as_tuple(asio::use_awaitable);
// RFC 8305 5: the Connection Attempt Delay it recommends.
constexpr auto k_attempt_delay = std::chrono::milliseconds(250);

// Of several addresses the one that says most: IPv6 is often just not there.
int weight(Cause cause) {
  if (cause == Cause::connection_refused) return 3;
  if (cause == Cause::no_connection_in_time) return 2;
  return cause == Cause::unknown ? 0 : 1;
}

// From an address of ours, with any port: the system chooses it with the connection, not before.
Result<void> bind_to(Socket& socket, const Address& address, const std::string& source) {
  std::error_code error;
  const auto ours = asio::ip::make_address(source, error);
  if (!error) socket.open(address.protocol(), error);
  const int late = 1;
  if (!error) setsockopt(socket.native_handle(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &late, sizeof late);
  if (!error) socket.bind(Address(tcp::endpoint(ours, 0)), error);
  if (error) return fail(Errc::unreachable, "from source_address " + source + ": " + error.message());
  return {};
}

// One address on its way. A handler that is already queued cannot be called back, so it holds this.
struct Attempt {
  Attempt(asio::io_context& loop, const Address& address) : where(text_of(address)), socket(loop) {}

  void give_up() {
    alarm.reset();
    std::error_code ignored;
    socket.close(ignored);
  }

  std::string where;
  Socket socket;
  std::unique_ptr<Alarm> alarm;
  bool is_late = false;
  bool is_connected = false;
  std::optional<Error> error;  // once it has failed
};

class Race {
 public:
  Race(asio::io_context& loop, Clock& clock, AttemptOptions options, Stop& stop)
      : loop_(loop), clock_(clock), options_(std::move(options)), stop_(stop) {}
  Race(const Race&) = delete;
  Race& operator=(const Race&) = delete;
  ~Race() {
    for (const auto& attempt : attempts_) attempt->give_up();
  }

  Task<Result<Stream>> run(std::vector<Address> addresses) {
    const Stop::Listener listener(stop_, [this](Stop::Phase) { wakeup_->cancel(); });
    std::size_t begun = 0;
    for (;;) {
      if (stop_.requested()) co_return fail(Errc::interrupted, "stopped by a signal");
      if (const auto winner = connected()) {
        winner->alarm.reset();
        co_return Stream(socket_transport(std::move(winner->socket), winner->where, clock_), clock_);
      }
      const bool has_next = begun < addresses.size();
      const TimePoint next = next_attempt();
      if (has_next && clock_.now() >= next) {
        begin(addresses[begun++]);
        continue;
      }
      if (!has_next && !is_any_under_way()) co_return fail(summary());
      wakeup_->expires_at(has_next ? next : TimePoint::max());
      co_await wakeup_->async_wait(k_as_tuple);
    }
  }

 private:
  static bool is_under_way(const Attempt& attempt) { return !attempt.is_connected && !attempt.error; }
  bool is_any_under_way() const {
    return std::any_of(attempts_.begin(), attempts_.end(), [](const auto& one) { return is_under_way(*one); });
  }

  std::shared_ptr<Attempt> connected() const {
    const auto found =
        std::find_if(attempts_.begin(), attempts_.end(), [](const auto& one) { return one->is_connected; });
    return found == attempts_.end() ? nullptr : *found;
  }

  // At once where nothing has been begun, or where what was begun last has failed.
  TimePoint next_attempt() const {
    const bool waits = !attempts_.empty() && is_under_way(*attempts_.back());
    return waits ? last_begun_ + k_attempt_delay : TimePoint::min();
  }

  void begin(const Address& address) {
    auto attempt = attempts_.emplace_back(std::make_shared<Attempt>(loop_, address));
    last_begun_ = clock_.now();
    if (!options_.source_address.empty()) {
      const auto bound = bind_to(attempt->socket, address, options_.source_address);
      if (!bound) attempt->error = Error{bound.error().code, attempt->where + ": " + bound.error().text};
      if (!bound) return;
    }
    attempt->alarm = clock_.alarm([late = attempt.get()] {
      late->is_late = true;
      std::error_code ignored;
      late->socket.close(ignored);
    });
    attempt->alarm->set(last_begun_ + options_.patience);
    attempt->socket.async_connect(address, [attempt, wakeup = wakeup_](std::error_code error) {
      note(*attempt, error);
      wakeup->cancel();
    });
  }

  static void note(Attempt& attempt, const std::error_code& error) {
    attempt.is_connected = !error && !attempt.is_late;
    if (attempt.is_late) {
      attempt.error = Error{Errc::timed_out, attempt.where + ": no connection in time", Cause::no_connection_in_time};
    } else if (error) {
      attempt.error = Error{Errc::unreachable, attempt.where + ": " + error.message(), cause_of(error)};
    }
  }

  // All of them, when none is left.
  Error summary() const {
    Error all{Errc::unreachable, "no address"};
    std::string reasons;
    Cause cause = Cause::unknown;
    for (const auto& attempt : attempts_) {
      all = *attempt->error;
      if (weight(all.cause) > weight(cause)) cause = all.cause;
      reasons += (reasons.empty() ? "" : "; ") + all.text;
    }
    return attempts_.empty() ? all : Error{all.code, reasons, cause};
  }

  asio::io_context& loop_;
  Clock& clock_;
  AttemptOptions options_;
  Stop& stop_;
  std::vector<std::shared_ptr<Attempt>> attempts_;  // in the order in which they were begun
  TimePoint last_begun_;
  std::shared_ptr<asio::steady_timer> wakeup_ = std::make_shared<asio::steady_timer>(loop_);
};

}  // namespace

Cause cause_of(const std::error_code& error) {
  if (error == asio::error::host_not_found_try_again) return Cause::name_server_silent;
  if (error == asio::error::host_not_found || error == asio::error::no_data) return Cause::name_not_found;
  if (error == asio::error::connection_refused) return Cause::connection_refused;
  if (error == asio::error::timed_out) return Cause::no_connection_in_time;
  if (error == asio::error::host_unreachable || error == asio::error::network_unreachable ||
      error == asio::error::network_down) {
    return Cause::host_unreachable;
  }
  if (error == asio::error::access_denied) return Cause::socket_denied;
  // Asio has no name for it, and its category knows nothing of std::errc.
  const bool is_missing = error.category() == asio::error::get_system_category() && error.value() == ENOENT;
  return is_missing ? Cause::socket_missing : Cause::unknown;
}

std::string text_of(const Address& address) {
  if (address.protocol().family() == AF_UNIX) {
    return reinterpret_cast<const sockaddr_un*>(address.data())->sun_path;
  }
  tcp::endpoint endpoint;
  std::memcpy(endpoint.data(), address.data(), std::min(address.size(), endpoint.capacity()));
  return net::text_of(endpoint);
}

std::vector<Address> taking_turns(const std::vector<Address>& addresses) {
  std::vector<Address> leading;
  std::vector<Address> others;
  for (const auto& address : addresses) {
    const bool leads = address.protocol().family() == addresses.front().protocol().family();
    (leads ? leading : others).push_back(address);
  }
  std::vector<Address> turns;
  for (std::size_t i = 0; turns.size() < addresses.size(); ++i) {
    if (i < leading.size()) turns.push_back(leading[i]);
    if (i < others.size()) turns.push_back(others[i]);
  }
  return turns;
}

Task<Result<Stream>> connect_to_first(asio::io_context& loop, Clock& clock, std::vector<Address> addresses,
                                      AttemptOptions options, Stop& stop) {
  Race race(loop, clock, std::move(options), stop);
  co_return co_await race.run(std::move(addresses));
}

}  // namespace odmr::net
