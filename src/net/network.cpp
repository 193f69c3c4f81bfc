#include "net/network.hpp"

#include <sys/eventfd.h>
#include <sys/un.h>

#include <algorithm>
#include <asio/experimental/as_tuple.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/file.hpp"
#include "net/attempts.hpp"
#include "net/mail_exchangers.hpp"
#include "net/names.hpp"
#include "net/program.hpp"
#include "net/proxy.hpp"
#include "net/readiness.hpp"
#include "net/system_network.hpp"

namespace odmr::net {

namespace {

using asio::ip::tcp;

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

// What goes wrong on the way to the host is no answer of the host's: it was not reached.
Errc code_of(const Error& error) {
  return error.code == Errc::interrupted || error.code == Errc::timed_out ? error.code : Errc::unreachable;
}

}  // namespace

std::string Endpoint::text() const {
  if (!program.empty()) return words_as_text(program);
  return socket_path.empty() ? host_and_port(host, port) : socket_path;
}

Task<Result<std::vector<std::string>>> Network::addresses(const Endpoint& /*endpoint*/, Duration /*patience*/,
                                                          Stop& /*stop*/) {
  co_return std::vector<std::string>();
}

Task<Result<std::vector<std::string>>> Network::mail_exchangers(const std::string& domain, Duration /*patience*/,
                                                                Stop& /*stop*/) {
  co_return std::vector<std::string>{domain};
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
  if (!endpoint.program.empty()) {
    co_return co_await connect_to_program(loop_, clock_, begin_program_, endpoint.program, patience, stop);
  }
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
  const AttemptOptions options{endpoint.way.source_address, patience};
  auto stream = co_await connect_to_first(loop_, clock_, taking_turns(addresses), options, stop);
  const bool is_name = endpoint.socket_path.empty() && !ip_version_of(endpoint.host);
  if (!stream && is_name && stream.error().code != Errc::interrupted) {
    stream.error().text = endpoint.text() + ": " + stream.error().text;
  }
  co_return stream;
}

Task<Result<std::vector<std::string>>> SystemNetwork::addresses(const Endpoint& endpoint, Duration patience,
                                                                Stop& stop) {
  std::vector<std::string> texts;
  if (!endpoint.socket_path.empty() || !endpoint.program.empty()) co_return texts;
  const auto resolved = co_await resolve(loop_, clock_, endpoint, clock_.now() + patience, stop);
  if (!resolved) co_return fail(resolved.error());
  for (const auto& address : *resolved) texts.push_back(text_of(address));
  co_return texts;
}

namespace {

// What a thread finds out that nobody can call off: it has all that it uses, and whoever waits may go.
struct LookUp {
  Descriptor has_ended;  // readable then
  std::mutex mutex;
  std::optional<Result<std::vector<std::string>>> result;
};

Result<std::shared_ptr<LookUp>> begin_look_up(const std::string& domain) {
  auto look_up = std::make_shared<LookUp>();
  look_up->has_ended = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!look_up->has_ended.is_open()) return fail(system_error(errno, "eventfd"));
  std::thread([look_up, domain] {
    auto found = look_up_mail_exchangers(domain);
    const std::lock_guard lock(look_up->mutex);
    look_up->result = std::move(found);
    eventfd_write(look_up->has_ended.get(), 1);
  }).detach();
  return look_up;
}

}  // namespace

Task<Result<std::vector<std::string>>> SystemNetwork::mail_exchangers(const std::string& domain, Duration patience,
                                                                      Stop& stop) {
  if (stop.requested()) co_return fail(Errc::interrupted, "stopped by a signal");
  const auto look_up = begin_look_up(domain);
  if (!look_up) co_return fail(look_up.error());
  const auto ready = readiness_of((*look_up)->has_ended.get(), loop_.get_executor());
  if (!ready) co_return fail(ready.error());
  const Stop::Listener listener(stop, [&ready](Stop::Phase) { (*ready)->cancel(); });
  const auto alarm = clock_.alarm([&ready] { (*ready)->cancel(); });
  alarm->set(clock_.now() + patience);
  const auto ended = co_await (*ready)->wait();
  if (stop.requested()) co_return fail(Errc::interrupted, "stopped by a signal");
  if (!ended) co_return fail(Errc::unresolved, domain + ": the name server does not answer", Cause::name_server_silent);
  const std::lock_guard lock((*look_up)->mutex);
  co_return std::move(*(*look_up)->result);
}

}  // namespace odmr::net
