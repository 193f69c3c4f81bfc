#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace odmr::net {

/// Networks, as they are written: "192.0.2.0/24", "2001:db8::/32", or an address alone.
class Networks {
 public:
  /// Errors: malformed, also where bits are set behind the prefix ("192.0.2.1/24").
  Result<void> add(std::string_view network);
  bool empty() const { return networks_.empty(); }
  /// Whether the peer of a connection, "192.0.2.1:4711" or "[2001:db8::1]:4711", is in one of them. IPv4 at a socket
  /// that takes both is IPv4. What is no address is in none.
  bool has(const std::string& peer) const;

 private:
  struct Network {
    std::array<std::uint8_t, 16> address{};  // of IPv6, IPv4 mapped into it
    unsigned bits = 0;
  };
  std::vector<Network> networks_;
};

/// Whom a connection counts for, of the peer "192.0.2.1:4711" or "[2001:db8::1]:4711": the address; of IPv6 the network
/// of 64 bits, which one host has to itself. Empty for a Unix socket.
std::string counted_as(const std::string& peer);

}  // namespace odmr::net
