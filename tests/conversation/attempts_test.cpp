// Several addresses of one name, with real sockets: loopback has 127.0.0.0/8, all of it ours.

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <catch2/catch.hpp>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "net/attempts.hpp"
#include "net/system_network.hpp"

namespace odmr::net {

namespace {

using asio::ip::tcp;
using namespace std::chrono_literals;

Address address_of(const std::string& host, unsigned port) {
  return Address(tcp::endpoint(asio::ip::make_address(host), static_cast<std::uint16_t>(port)));
}

std::vector<std::string> texts(const std::vector<Address>& addresses) {
  std::vector<std::string> out;
  for (const auto& address : addresses) out.push_back(text_of(address));
  return out;
}

// The same port of several addresses, each listened at, silent, or closed.
class House {
 public:
  ~House() {
    for (const int one : sockets_) close(one);
  }

  // Takes connections; the kernel does, nobody has to be there.
  Address open(const char* host) { return listen_at(host, 16); }
  // Does not answer: its queue is full, so that the kernel drops what comes.
  Address silent(const char* host) {
    const Address address = listen_at(host, 0);
    for (int i = 0; i < 2; ++i) {
      const int caller = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      sockets_.push_back(caller);
      connect(caller, address.data(), static_cast<socklen_t>(address.size()));
    }
    return address;
  }
  // Nobody listens there. The port is taken, so that nobody will.
  Address closed(const char* host) { return bind_at(host); }

  std::size_t callers_at(const Address& address) const {
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
      sockaddr_in here{};
      socklen_t size = sizeof here;
      getsockname(sockets_[i], reinterpret_cast<sockaddr*>(&here), &size);
      if (std::memcmp(&here, address.data(), sizeof here) != 0) continue;
      std::size_t callers = 0;
      for (int caller = 0; (caller = accept4(sockets_[i], nullptr, nullptr, SOCK_NONBLOCK)) >= 0; ++callers)
        close(caller);
      return callers;
    }
    return 0;
  }

 private:
  Address bind_at(const char* host) {
    const int one = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    sockets_.push_back(one);
    sockaddr_in here{};
    here.sin_family = AF_INET;
    inet_pton(AF_INET, host, &here.sin_addr);
    REQUIRE(bind(one, reinterpret_cast<const sockaddr*>(&here), sizeof here) == 0);
    socklen_t size = sizeof here;
    getsockname(one, reinterpret_cast<sockaddr*>(&here), &size);
    return address_of(host, ntohs(here.sin_port));
  }
  Address listen_at(const char* host, int backlog) {
    const Address address = bind_at(host);
    REQUIRE(listen(sockets_.back(), backlog) == 0);
    return address;
  }

  std::vector<int> sockets_;
};

struct Caller {
  asio::io_context loop;
  SystemClock clock{loop};
  Stop stop;
  std::optional<Result<Stream>> stream;

  static Task<> call(Caller& self, std::vector<Address> addresses, AttemptOptions options) {
    self.stream = co_await connect_to_first(self.loop, self.clock, std::move(addresses), std::move(options), self.stop);
  }
  void begin(std::vector<Address> addresses, Duration patience = 1h, const std::string& source = "") {
    asio::co_spawn(loop, call(*this, std::move(addresses), AttemptOptions{source, patience}), asio::detached);
  }
};

}  // namespace

TEST_CASE("attempts: IPv6 and IPv4 take turns, each in the resolver's order", "[attempts]") {
  const auto a6 = address_of("2001:db8::1", 1);
  const auto b6 = address_of("2001:db8::2", 1);
  const auto a4 = address_of("192.0.2.1", 1);
  const auto b4 = address_of("192.0.2.2", 1);
  using Texts = std::vector<std::string>;
  CHECK(texts(taking_turns({a6, b6, a4, b4})) ==
        Texts{"[2001:db8::1]:1", "192.0.2.1:1", "[2001:db8::2]:1", "192.0.2.2:1"});
  CHECK(texts(taking_turns({a4, b4, a6})) == Texts{"192.0.2.1:1", "[2001:db8::1]:1", "192.0.2.2:1"});
  CHECK(texts(taking_turns({b4, a4})) == Texts{"192.0.2.2:1", "192.0.2.1:1"});
  CHECK(taking_turns({}).empty());
}

TEST_CASE("attempts: the first that answers is taken, and nobody else is called", "[attempts]") {
  House house;
  const auto first = house.open("127.0.0.2");
  const auto second = house.open("127.0.0.3");
  Caller caller;
  caller.begin({first, second});
  caller.loop.run();
  REQUIRE(caller.stream->has_value());
  CHECK((*caller.stream)->peer() == text_of(first));
  CHECK(house.callers_at(first) == 1);
  CHECK(house.callers_at(second) == 0);
}

TEST_CASE("attempts: an address that is silent for an hour costs no hour", "[attempts]") {
  House house;
  Caller caller;
  const auto live = house.open("127.0.0.4");
  caller.begin({house.silent("127.0.0.2"), house.silent("127.0.0.3"), live});
  caller.loop.run();
  REQUIRE(caller.stream->has_value());
  CHECK((*caller.stream)->peer() == text_of(live));
}

TEST_CASE("attempts: one that refuses gives way to the next", "[attempts]") {
  House house;
  Caller caller;
  const auto live = house.open("127.0.0.3");
  caller.begin({house.closed("127.0.0.2"), live}, 1h, "127.0.0.9");
  caller.loop.run();
  REQUIRE(caller.stream->has_value());
  CHECK((*caller.stream)->peer() == text_of(live));
}

TEST_CASE("attempts: where none answers, each is named with its reason, and the one that says most is the cause",
          "[attempts]") {
  House house;
  Caller caller;
  const auto silent = house.silent("127.0.0.2");
  const auto closed = house.closed("127.0.0.3");
  caller.begin({silent, closed}, 300ms);
  caller.loop.run();
  REQUIRE(!caller.stream->has_value());
  const auto& error = caller.stream->error();
  CHECK(error.text == text_of(silent) + ": no connection in time; " + text_of(closed) + ": Connection refused");
  CHECK(error.cause == Cause::connection_refused);
}

TEST_CASE("attempts: a source address that is not ours fails each of them, in words", "[attempts]") {
  House house;
  Caller caller;
  caller.begin({house.open("127.0.0.2")}, 1h, "192.0.2.1");
  caller.loop.run();
  REQUIRE(!caller.stream->has_value());
  CHECK(caller.stream->error().code == Errc::unreachable);
  CHECK(caller.stream->error().text.find(": from source_address 192.0.2.1: Cannot assign requested address") !=
        std::string::npos);
}

TEST_CASE("attempts: a stop ends all that are under way", "[attempts]") {
  House house;
  Caller caller;
  caller.begin({house.silent("127.0.0.2"), house.silent("127.0.0.3")});
  asio::steady_timer both_under_way(caller.loop, 300ms);
  both_under_way.async_wait([&](std::error_code) { caller.stop.advance(Stop::Phase::finish); });
  caller.loop.run();
  REQUIRE(!caller.stream->has_value());
  CHECK(caller.stream->error().code == Errc::interrupted);
}

}  // namespace odmr::net
