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
  std::optional<Duration> held = {};  ///< the line was held, so long
};

/// A line that did not turn.
struct NotTurned {
  Outcome outcome = Outcome::unavailable;
  std::optional<smtp::Reply> reply;
  std::string text;
  bool interrupted = false;
  Cause cause = Cause::unknown;
  std::optional<Duration> held = {};  ///< the line was held, so long
  bool is_broken_off = false;         ///< by us, who held it: nothing is wrong
};

/// Whether the provider says that it may hold a line (XHOLD, odmrd's own): an ATRN for which there is no mail is then
/// not answered before there is some, or a time is over.
bool may_be_held(const client::Session& session);

/// Asks for that, for the next ATRN on this logged-in session. Gives whether it is granted: that it is refused is no
/// failure. Where the connection ends with it, so does the ATRN.
net::Task<bool> ask_to_be_held(client::Session& session, Duration patience, Stop& stop);

/// Whether the provider says that it may keep the turned line (XKEEP, odmrd's own): when it has sent all, it says NOOP
/// in place of QUIT, and again every 45 seconds, and mail that comes goes over that line.
bool may_be_kept(const client::Session& session);

/// Asks for that, likewise.
net::Task<bool> ask_to_be_kept(client::Session& session, Duration patience, Stop& stop);

/// Says ATRN with these domains (none: bare, "all that I may have") on a logged-in session, and waits up to `patience`
/// for the reply, which may take the provider ten minutes (RFC 2645 5.2.1). Ends the connection unless it turned.
///
/// `enough`: not null where the line is held. It ends the wait then, and so does `stop`; the outcome is no_mail.
net::Task<tl::expected<Turned, NotTurned>> turn_round(client::Session session, std::vector<std::string> domains,
                                                      Duration patience, Stop& stop, Stop* enough = nullptr);

/// The outcome that a reply to ATRN means; no value for 250, which turns the line.
std::optional<Outcome> outcome_of(const smtp::Reply& reply);
/// And its cause, for a reply that turns nothing.
Cause cause_of(const smtp::Reply& reply);

}  // namespace odmr::turn
