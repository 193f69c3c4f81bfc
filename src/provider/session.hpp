#pragma once

#include "provider/hand_over.hpp"

namespace odmr::provider {

/// What every session needs; outlives them all.
struct Provider {
  SessionOptions options;
  const Customers& customers;
  HeldMail& held;
};

/// One customer's visit, from the connection to its end: implicit TLS, the dialogue, and where it comes to a turn, the
/// mail.
net::Task<> attend(net::Stream stream, const Door& door, Provider& provider, Log& log, Stop& stop);

}  // namespace odmr::provider
