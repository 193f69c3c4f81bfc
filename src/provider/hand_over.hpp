#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "client/session.hpp"
#include "provider/dialogue.hpp"

namespace odmr::provider {

/// What went over a turned line.
struct HandedOver {
  std::size_t messages = 0;    ///< taken for at least one recipient
  std::size_t recipients = 0;  ///< that took one
  std::uint64_t bytes = 0;     ///< of those messages
  std::size_t put_off = 0;     ///< recipients answered 4xx: they wait for the next session
  std::size_t refused = 0;     ///< recipients answered 5xx: bounced
  std::string end;             ///< how it ended, in words
  bool is_whole = false;       ///< all that was held was offered
};

/// Sends what is held for the turn's domains, as the SMTP client, in the order of arrival, mail that comes in meanwhile
/// too, and ends the connection. A message put off holds up none behind it. The customer's word about a message
/// is on disk before the next one of its words is read; without one (a broken line) the message stays. Small messages
/// go one behind the other to a customer that knows what is offered again (XONCE); to others, one is begun when the
/// last one's word is on disk. QUIT goes out only after the last reply, so a customer may take it as a sign that we
/// have read them all. Ends between transactions when `stop` is asked for.
///
/// Where the line may be kept (Turn::keep) it is, once all is sent and nothing was put off: what waits then for the
/// customer's next session had better come by that (KeptLine). `line` hears the sum so far whenever it begins to be.
net::Task<HandedOver> hand_over(Turn turn, Provider& provider, Calls::Line& line, Log& log, Stop& stop);

/// The same on a connection of our own making, on which EHLO has been said (RFC 1985). `domains`, and the right to send
/// their mail.
net::Task<HandedOver> hand_over(client::Session session, Domains domains, HeldMail::Claim claim, Visits::Visit visit,
                                HeldMail& held, const SessionOptions& options, Log& log, Stop& stop);

/// The line of the log about it.
void say(const HandedOver& sum, std::string_view event, const std::string& customer, Duration length, Log& log);
/// "0.125"
std::string in_seconds(Duration length);

}  // namespace odmr::provider
