#pragma once

#include <asio/io_context.hpp>

#include "net/stream.hpp"

namespace odmr::net {

/// Standard input and output as one connection: pipes, a terminal, files, or the one socket that an inetd or a socket
/// unit with Accept=yes gives us. Its peer is "uid N": ours, or the other end's where it is a Unix socket; of a TCP
/// socket the address.
Result<Stream> standard_stream(asio::io_context& loop, Clock& clock);

}  // namespace odmr::net
