#pragma once

#include <asio/generic/stream_protocol.hpp>
#include <asio/io_context.hpp>
#include <string>
#include <vector>

#include "base/stop.hpp"
#include "net/stream.hpp"

namespace odmr::net {

using Address = asio::generic::stream_protocol::endpoint;

/// The order in which addresses are tried: the resolver's, but IPv6 and IPv4 take turns (RFC 8305 4), so that one of
/// them that leads nowhere costs one wait and not one for each of its addresses.
std::vector<Address> taking_turns(const std::vector<Address>& addresses);

/// How each attempt is made.
struct AttemptOptions {
  std::string source_address;  ///< ours, as it is written; empty: the system chooses
  Duration patience;           ///< for each address
};

/// Connects to the first of these that answers: each is begun a quarter of a second after the one before it, or when
/// one has failed, and what is under way goes on meanwhile (RFC 8305 5). Ends early when `stop` is asked for. Errors:
/// unreachable, timed_out, each address with its reason in the text; interrupted.
Task<Result<Stream>> connect_to_first(asio::io_context& loop, Clock& clock, std::vector<Address> addresses,
                                      AttemptOptions options, Stop& stop);

/// "192.0.2.1:366", or the path of a Unix socket.
std::string text_of(const Address& address);

/// Of what the system, or the resolver, said.
Cause cause_of(const std::error_code& error);

}  // namespace odmr::net
