#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/stop.hpp"
#include "net/network.hpp"

namespace odmr::app {

/// A server on this host that takes mail, as [deliver] names it, with the first line it said.
struct LocalTarget {
  std::string to;
  std::string greeting;
};

/// Where the mail servers of this host usually listen: SMTP on the loopback interface, the LMTP sockets of Dovecot and
/// Cyrus.
const std::vector<std::string>& usual_places();

/// What the server at `to` says first; then it hears QUIT. Errors: those of Network::connect; malformed, it is no place
/// that greets (a Maildir), does not greet with 220, or is odmr itself, which would send the mail out again.
net::Task<Result<std::string>> greeting_of(std::string to, net::Network& network, Stop& stop);

/// Those of `places` that greet, in their order. All are asked at the same time, for a few seconds at the most.
std::vector<LocalTarget> find_local_targets(const std::vector<std::string>& places);
/// The first of them that nobody has to be asked about: only root lets a program listen there. Any user may have taken
/// another port, and would get the mail. No value where there is none.
std::optional<LocalTarget> target_to_take_unasked(const std::vector<LocalTarget>& targets);
/// What greets at one place, by its name or address.
Result<std::string> ask_target(const std::string& to);

}  // namespace odmr::app
