#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/outcome.hpp"
#include "client/open.hpp"

namespace odmr::turn {

/// A line that has turned round (RFC 2645 5.2): the provider is the SMTP client from here on, and waits for our 220.
/// The stream carries whatever it has sent already.
struct Turned {
  net::Stream stream;
  smtp::Reply reply;
  /// The provider has said (XEMPTIES, odmrd's own) that its QUIT comes when nothing more is held for us.
  bool is_emptied = false;
};

/// A line that did not turn.
struct NotTurned {
  Outcome outcome = Outcome::unavailable;
  std::optional<smtp::Reply> reply;
  std::string text;
  bool interrupted = false;
  Cause cause = Cause::unknown;
};

/// Says ATRN with these domains (none: bare, "all that I may have") on a logged-in session, and waits up to `patience`
/// for the reply, which may take the provider ten minutes (RFC 2645 5.2.1). Ends the connection unless it turned.
net::Task<tl::expected<Turned, NotTurned>> turn_round(client::Session session, std::vector<std::string> domains,
                                                      Duration patience, Stop& stop);

/// The outcome that a reply to ATRN means; no value for 250, which turns the line.
std::optional<Outcome> outcome_of(const smtp::Reply& reply);
/// And its cause, for a reply that turns nothing.
Cause cause_of(const smtp::Reply& reply);

}  // namespace odmr::turn
