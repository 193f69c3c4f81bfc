#include "net/network.hpp"

#include <sys/un.h>

#include <algorithm>
#include <asio/connect.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "net/names.hpp"
#include "net/socket.hpp"
#include "net/system_network.hpp"

namespace odmr::net {

namespace {

using asio::ip::tcp;
using Socket = asio::generic::stream_protocol::socket;
using Address = asio::generic::stream_protocol::endpoint;

constexpr auto k_as_tuple = asio::experimental::as_tuple(asio::use_awaitable);

class LoopAlarm final : public Alarm {
 public:
  LoopAlarm(asio::io_context& loop, std::function<void()> ring)
      : timer_(loop), state_(std::make_shared<State>(State{std::move(ring), 0})) {}
  ~LoopAlarm() override { LoopAlarm::clear(); }
  LoopAlarm(const LoopAlarm&) = delete;
  LoopAlarm& operator=(const LoopAlarm&) = delete;

  void set(TimePoint when) override {
    timer_.expires_at(when);
    // A handler that is already queued cannot be called back: it holds the state, and sees that its turn is over.
    timer_.async_wait([state = state_, turn = ++state_->turn](std::error_code error) {
      if (!error && turn == state->turn) state->ring();
    });
  }
  void clear() override {
    ++state_->turn;
    timer_.cancel();
  }

 private:
  struct State {
    std::function<void()> ring;
    std::uint64_t turn;
  };
  asio::steady_timer timer_;
  std::shared_ptr<State> state_;
};

// A name on its way to addresses. getaddrinfo runs on a thread of the resolver's and cannot be called off, so whoever
// waits may go while this stays behind until the thread is done.
struct Resolution {
  explicit Resolution(asio::io_context& loop) : resolver(loop), wakeup(loop, TimePoint::max()) {}
  tcp::resolver resolver;
  asio::steady_timer wakeup;
  std::optional<std::error_code> error;
  std::vector<Address> addresses;
};

void begin(const std::shared_ptr<Resolution>& resolution, const Endpoint& endpoint) {
  resolution->resolver.async_resolve(endpoint.host, std::to_string(endpoint.port), tcp::resolver::numeric_service,
                                     [resolution](std::error_code error, const tcp::resolver::results_type& results) {
                                       resolution->error = error;
                                       for (const auto& entry : results)
                                         resolution->addresses.emplace_back(entry.endpoint());
                                       resolution->wakeup.cancel();
                                     });
}

Cause cause_of(const std::error_code& error) {
  if (error == asio::error::host_not_found_try_again) return Cause::name_server_silent;
  if (error == asio::error::host_not_found || error == asio::error::no_data) return Cause::name_not_found;
  if (error == asio::error::connection_refused) return Cause::connection_refused;
  if (error == asio::error::timed_out) return Cause::no_connection_in_time;
  if (error == asio::error::host_unreachable || error == asio::error::network_unreachable ||
      error == asio::error::network_down) {
    return Cause::host_unreachable;
  }
  if (error == std::errc::no_such_file_or_directory) return Cause::socket_missing;
  return error == std::errc::permission_denied ? Cause::socket_denied : Cause::unknown;
}

// Of several addresses the one that says most: IPv6 is often just not there.
int weight(Cause cause) {
  if (cause == Cause::connection_refused) return 3;
  if (cause == Cause::no_connection_in_time) return 2;
  return cause == Cause::unknown ? 0 : 1;
}

Task<Result<std::vector<Address>>> resolve(asio::io_context& loop, Clock& clock, const Endpoint& endpoint,
                                           TimePoint deadline, Stop& stop) {
  std::error_code not_literal;
  const auto literal = asio::ip::make_address(endpoint.host, not_literal);
  if (!not_literal) co_return std::vector<Address>{Address(tcp::endpoint(literal, endpoint.port))};

  auto resolution = std::make_shared<Resolution>(loop);
  begin(resolution, endpoint);
  const Stop::Listener listener(stop, [&resolution](Stop::Phase) { resolution->wakeup.cancel(); });
  while (!resolution->error && clock.now() < deadline && !stop.requested()) {
    resolution->wakeup.expires_at(deadline);
    co_await resolution->wakeup.async_wait(k_as_tuple);
  }
  if (stop.requested()) co_return fail(Errc::interrupted, "stopped by a signal");
  if (!resolution->error) {
    co_return fail(Errc::unresolved, endpoint.host + ": the name server does not answer", Cause::name_server_silent);
  }
  if (*resolution->error) {
    co_return fail(Errc::unresolved, endpoint.host + ": " + resolution->error->message(), cause_of(*resolution->error));
  }
  if (resolution->addresses.empty()) {
    co_return fail(Errc::unresolved, endpoint.host + ": has no address", Cause::name_not_found);
  }
  co_return std::move(resolution->addresses);
}

std::string text_of(const Address& address) {
  if (address.protocol().family() == AF_UNIX) {
    return reinterpret_cast<const sockaddr_un*>(address.data())->sun_path;
  }
  tcp::endpoint endpoint;
  std::memcpy(endpoint.data(), address.data(), std::min(address.size(), endpoint.capacity()));
  return net::text_of(endpoint);
}

Task<Result<Stream>> connect_to(asio::io_context& loop, Clock& clock, Address address, Duration patience, Stop& stop) {
  const std::string where = text_of(address);
  Socket socket(loop);
  bool late = false;
  auto alarm = clock.alarm([&socket, &late] {
    late = true;
    std::error_code ignored;
    socket.close(ignored);
  });
  alarm->set(clock.now() + patience);
  const Stop::Listener listener(stop, [&socket](Stop::Phase) {
    std::error_code ignored;
    socket.close(ignored);
  });
  const auto [error] = co_await socket.async_connect(address, k_as_tuple);
  if (stop.requested()) co_return fail(Errc::interrupted, "stopped by a signal");
  if (late) co_return fail(Errc::timed_out, where + ": no connection in time", Cause::no_connection_in_time);
  if (error) co_return fail(Errc::unreachable, where + ": " + error.message(), cause_of(error));
  alarm.reset();
  co_return Stream(socket_transport(std::move(socket), where, clock), clock);
}

}  // namespace

std::string Endpoint::text() const {
  return socket_path.empty() ? host_and_port(host, port) : socket_path;
}

Task<Result<std::vector<std::string>>> Network::addresses(const Endpoint& /*endpoint*/, Duration /*patience*/,
                                                          Stop& /*stop*/) {
  co_return std::vector<std::string>();
}

std::unique_ptr<Alarm> SystemClock::alarm(std::function<void()> ring) {
  return std::make_unique<LoopAlarm>(loop_, std::move(ring));
}

Task<Result<Stream>> SystemNetwork::connect(const Endpoint& endpoint, Duration patience, Stop& stop) {
  std::vector<Address> addresses;
  if (!endpoint.socket_path.empty()) {
    if (endpoint.socket_path.size() >= sizeof(sockaddr_un::sun_path)) {
      co_return fail(Errc::unreachable, endpoint.socket_path + ": too long for a socket's path");
    }
    addresses.emplace_back(asio::local::stream_protocol::endpoint(endpoint.socket_path));
  } else {
    auto resolved = co_await resolve(loop_, clock_, endpoint, clock_.now() + patience, stop);
    if (!resolved) co_return fail(resolved.error());
    addresses = std::move(*resolved);
  }
  Error last{Errc::unreachable, endpoint.text() + ": no address"};
  std::string reasons;
  Cause cause = Cause::unknown;
  for (const auto& address : addresses) {
    auto stream = co_await connect_to(loop_, clock_, address, patience, stop);
    if (stream || stream.error().code == Errc::interrupted) co_return stream;
    last = stream.error();
    if (weight(last.cause) > weight(cause)) cause = last.cause;
    reasons += (reasons.empty() ? "" : "; ") + last.text;
  }
  co_return fail(last.code,
                 endpoint.socket_path.empty() && endpoint.host.find_first_not_of("0123456789.:") != std::string::npos
                     ? endpoint.text() + ": " + reasons
                     : reasons,
                 cause);
}

Task<Result<std::vector<std::string>>> SystemNetwork::addresses(const Endpoint& endpoint, Duration patience,
                                                                Stop& stop) {
  std::vector<std::string> texts;
  if (!endpoint.socket_path.empty()) co_return texts;
  const auto resolved = co_await resolve(loop_, clock_, endpoint, clock_.now() + patience, stop);
  if (!resolved) co_return fail(resolved.error());
  for (const auto& address : *resolved) texts.push_back(text_of(address));
  co_return texts;
}

}  // namespace odmr::net
