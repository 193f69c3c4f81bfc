#pragma once

#include <memory>
#include <string>

#include "provider/hand_over.hpp"

namespace odmr::provider {

/// Held mail that an ETRN has asked for (RFC 1985): over a connection of our own, to where the customer's settings say.
struct Push {
  std::shared_ptr<const Customer> customer;  ///< with its `etrn`
  Domains domains;
  HeldMail::Claim claim;
  Visits::Visit visit;
  std::string caller;  ///< the address from which it was asked for, without port
};

/// Sends it, and logs how that went. Where nobody can be reached the mail waits: it is not tried again before the next
/// ETRN or ATRN.
net::Task<> push(Push push, Provider& provider, Log& log, Stop& stop);

}  // namespace odmr::provider
