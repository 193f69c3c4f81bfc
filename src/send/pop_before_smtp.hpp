#pragma once

#include <optional>

#include "client/open.hpp"

namespace odmr::send {

/// Logs in to a POP3 server and out again (RFC 1939), for smart hosts that then know our address for some minutes. TLS
/// as the policy has it (RFC 2595: STLS); with any policy but `none` the password never goes in clear text. Gives why
/// not, where it could not be done: the outcome is unavailable, tls or auth.
net::Task<std::optional<client::OpenFailure>> log_in_by_pop(net::Network& network, const client::Server& server,
                                                            Log& log, Stop& stop);

}  // namespace odmr::send
