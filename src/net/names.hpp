#pragma once

#include <asio/generic/stream_protocol.hpp>
#include <asio/ip/tcp.hpp>
#include <string>

namespace odmr::net {

/// "host:port", "[2001:db8::1]:port".
std::string host_and_port(const std::string& host, unsigned port);

/// "192.0.2.1:366", also for an IPv4 address that an IPv6 socket shows.
std::string text_of(const asio::ip::tcp::endpoint& endpoint);

/// Who is at the other end of an accepted socket: "192.0.2.1:366", or "uid 1000", as the system swears, where it is a
/// Unix socket. Empty where the connection has gone.
std::string caller_on(asio::generic::stream_protocol::socket& socket);

}  // namespace odmr::net
