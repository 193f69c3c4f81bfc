#pragma once

#include <asio/generic/stream_protocol.hpp>
#include <memory>
#include <string>

#include "net/transport.hpp"

namespace odmr::net {

/// A connected socket as a Transport. TCP sockets get keepalive (a NAT in between forgets lines that are silent while
/// the provider looks for mail) and no delay for small writes.
std::unique_ptr<Transport> socket_transport(asio::generic::stream_protocol::socket socket, std::string peer,
                                            Clock& clock);

}  // namespace odmr::net
