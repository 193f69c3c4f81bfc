#pragma once

#include "net/network.hpp"

namespace odmr::net {

/// Over a new connection with the proxy: logs in where it wants that, and asks for a connection with `host`. On success
/// the stream goes there, with whatever came from there already. Errors: unreachable, in words, for what the proxy
/// refuses; those of the stream. The texts do not name the proxy. An interrupt() of the stream ends it.
Task<Result<void>> connect_through(Stream& stream, const Proxy& proxy, const std::string& host, std::uint16_t port,
                                   TimePoint deadline);

}  // namespace odmr::net
