#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/secret.hpp"
#include "base/stop.hpp"
#include "net/stream.hpp"

namespace odmr::net {

enum class IpVersion { any, v4, v6 };

/// The version of an address as it is written; no value for a name.
std::optional<IpVersion> ip_version_of(const std::string& host);

/// A SOCKS5 proxy (RFC 1928). It is told the host's name and looks it up itself; who the host is remains TLS's
/// business.
struct Proxy {
  std::string host;
  std::uint16_t port = 1080;
  std::string user;  ///< empty: no login (RFC 1929)
  Secret password;

  /// "socks5://127.0.0.1:9050".
  std::string text() const;
};

/// How a connection gets to where it goes.
struct Way {
  IpVersion ip = IpVersion::any;       ///< no other addresses are tried
  std::string source_address;          ///< ours, as it is written; empty: the system chooses
  std::shared_ptr<const Proxy> proxy;  ///< null: none. The other two are then for the connection to the proxy
};

/// Where a connection goes.
struct Endpoint {
  std::string host;  ///< a name or an address; empty for a Unix socket, and for a program
  std::uint16_t port = 0;
  std::string socket_path;  ///< of a Unix socket; empty for TCP
  Way way = {};
  /// A program that is started and spoken to over its standard input and output, and its arguments; empty: none.
  std::vector<std::string> program = {};

  /// "host:port", "[2001:db8::1]:port", the path, or the program's words.
  std::string text() const;
};

/// What can be connected to. SystemNetwork is the real one; tests have their own.
class Network {
 public:
  virtual ~Network() = default;
  virtual Clock& clock() = 0;

  /// Tries every address of the name, each for `patience`, and takes the first that answers (RFC 8305). Through a
  /// proxy, the stream's peer() names both. Ends early when `stop` is asked for. Errors: unresolved, unreachable (each
  /// address with its reason in the text; what a proxy answers, too; a program that cannot be started), timed_out,
  /// interrupted.
  virtual Task<Result<Stream>> connect(const Endpoint& endpoint, Duration patience, Stop& stop) = 0;

  /// The addresses that connect() would try, "192.0.2.1:366": for who wants to show them. None for a Unix socket, a
  /// program, and where the network knows no names. Errors: unresolved, interrupted.
  virtual Task<Result<std::vector<std::string>>> addresses(const Endpoint& endpoint, Duration patience, Stop& stop);

  /// The hosts that take a domain's mail, in the order in which they are to be tried (RFC 5321 5.1): those of its MX
  /// records, or the domain itself. Errors: not_found, the domain is not there or takes no mail; unresolved;
  /// interrupted.
  virtual Task<Result<std::vector<std::string>>> mail_exchangers(const std::string& domain, Duration patience,
                                                                 Stop& stop);
};

}  // namespace odmr::net
