#pragma once

#include "provider/hand_over.hpp"

namespace odmr::provider {

/// One customer's visit, from the connection to its end: implicit TLS, the dialogue, and where it comes to a turn, the
/// mail.
net::Task<> attend(net::Stream stream, const Door& door, Provider& provider, Log& log, Stop& stop);

}  // namespace odmr::provider
