#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/stop.hpp"
#include "net/stream.hpp"

namespace odmr::net {

/// Where a connection goes.
struct Endpoint {
  std::string host;  ///< a name or an address; empty for a Unix socket
  std::uint16_t port = 0;
  std::string socket_path;  ///< of a Unix socket; empty for TCP

  /// "host:port", "[2001:db8::1]:port" or the path.
  std::string text() const;
};

/// What can be connected to. SystemNetwork is the real one; tests have their own.
class Network {
 public:
  virtual ~Network() = default;
  virtual Clock& clock() = 0;

  /// Tries every address of the name in the resolver's order, each for `patience`. Ends early when `stop` is asked
  /// for. Errors: unresolved, unreachable (each address with its reason in the text), timed_out, interrupted.
  virtual Task<Result<Stream>> connect(const Endpoint& endpoint, Duration patience, Stop& stop) = 0;

  /// The addresses that connect() would try, "192.0.2.1:366": for who wants to show them. None for a Unix socket, and
  /// where the network knows no names. Errors: unresolved, interrupted.
  virtual Task<Result<std::vector<std::string>>> addresses(const Endpoint& endpoint, Duration patience, Stop& stop);
};

}  // namespace odmr::net
