#include "net/network.hpp"

#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <asio/connect.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "net/names.hpp"
#include "net/proxy.hpp"
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

void begin(const std::shared_ptr<Resolution>& resolution, const Endpoint& endpoint, IpVersion ip) {
  const auto done = [resolution](std::error_code error, const tcp::resolver::results_type& results) {
    resolution->error = error;
    for (const auto& entry : results) resolution->addresses.emplace_back(entry.endpoint());
    resolution->wakeup.cancel();
  };
  const std::string port = std::to_string(endpoint.port);
  if (ip == IpVersion::any)
    resolution->resolver.async_resolve(endpoint.host, port, tcp::resolver::numeric_service, done);
  else
    resolution->resolver.async_resolve(ip == IpVersion::v4 ? tcp::v4() : tcp::v6(), endpoint.host, port,
                                       tcp::resolver::numeric_service, done);
}

// An address of ours reaches none of the other version.
IpVersion version_for(const Way& way) {
  return way.source_address.empty() ? way.ip : ip_version_of(way.source_address).value_or(way.ip);
}

std::string no_such_address(IpVersion ip) {
  return ip == IpVersion::any ? "has no address" : ip == IpVersion::v4 ? "has no IPv4 address" : "has no IPv6 address";
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
  if (error == asio::error::access_denied) return Cause::socket_denied;
  // Asio has no name for it, and its category knows nothing of std::errc.
  const bool is_missing = error.category() == asio::error::get_system_category() && error.value() == ENOENT;
  return is_missing ? Cause::socket_missing : Cause::unknown;
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
  const IpVersion ip = version_for(endpoint.way);
  if (!not_literal) {
    const bool is_other = ip != IpVersion::any && ip != ip_version_of(endpoint.host);
    if (is_other) co_return fail(Errc::unreachable, endpoint.host + ": " + no_such_address(ip));
    co_return std::vector<Address>{Address(tcp::endpoint(literal, endpoint.port))};
  }

  auto resolution = std::make_shared<Resolution>(loop);
  begin(resolution, endpoint, ip);
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
    co_return fail(Errc::unresolved, endpoint.host + ": " + no_such_address(ip), Cause::name_not_found);
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

Task<Result<Stream>> connect_to(asio::io_context& loop, Clock& clock, Address address, std::string source,
                                Duration patience, Stop& stop) {
  const std::string where = text_of(address);
  Socket socket(loop);
  if (!source.empty()) {
    const auto bound = bind_to(socket, address, source);
    if (!bound) co_return fail(bound.error().code, where + ": " + bound.error().text);
  }
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

// What goes wrong on the way to the host is no answer of the host's: it was not reached.
Errc code_of(const Error& error) {
  return error.code == Errc::interrupted || error.code == Errc::timed_out ? error.code : Errc::unreachable;
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

std::optional<IpVersion> ip_version_of(const std::string& host) {
  std::error_code not_literal;
  const auto literal = asio::ip::make_address(host, not_literal);
  if (not_literal) return std::nullopt;
  return literal.is_v4() ? IpVersion::v4 : IpVersion::v6;
}

std::string Proxy::text() const {
  return "socks5://" + host_and_port(host, port);
}

Task<Result<Stream>> SystemNetwork::connect(const Endpoint& endpoint, Duration patience, Stop& stop) {
  if (!endpoint.way.proxy) co_return co_await connect_straight(endpoint, patience, stop);
  const Proxy& proxy = *endpoint.way.proxy;
  Endpoint first{proxy.host, proxy.port, {}, endpoint.way};
  auto stream = co_await connect_straight(first, patience, stop);
  if (!stream) co_return fail(stream.error().code, "proxy " + stream.error().text);
  {
    const Stop::Listener listener(stop, [&stream](Stop::Phase) { stream->interrupt(); });
    const auto there = co_await connect_through(*stream, proxy, endpoint.host, endpoint.port, clock_.now() + patience);
    if (!there)
      co_return fail(code_of(there.error()), endpoint.text() + " by " + proxy.text() + ": " + there.error().text);
  }
  stream->set_peer(endpoint.text() + " by " + proxy.text());
  co_return stream;
}

Task<Result<Stream>> SystemNetwork::connect_straight(const Endpoint& endpoint, Duration patience, Stop& stop) {
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
  const std::string& source = endpoint.way.source_address;
  Error last{Errc::unreachable, endpoint.text() + ": no address"};
  std::string reasons;
  Cause cause = Cause::unknown;
  for (const auto& address : addresses) {
    auto stream = co_await connect_to(loop_, clock_, address, source, patience, stop);
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
