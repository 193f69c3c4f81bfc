#include "net/names.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace odmr::net {

using asio::ip::tcp;

std::string host_and_port(const std::string& host, unsigned port) {
  const bool is_v6 = host.find(':') != std::string::npos;
  return (is_v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string text_of(const tcp::endpoint& endpoint) {
  auto address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  }
  return host_and_port(address.to_string(), endpoint.port());
}

std::string caller_on(asio::generic::stream_protocol::socket& socket) {
  std::error_code error;
  const auto remote = socket.remote_endpoint(error);
  if (error) return {};
  if (remote.protocol().family() != AF_UNIX) {
    tcp::endpoint endpoint;
    std::memcpy(endpoint.data(), remote.data(), std::min(remote.size(), endpoint.capacity()));
    return text_of(endpoint);
  }
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return {};
  return "uid " + std::to_string(peer.uid);
}

}  // namespace odmr::net
