#pragma once

#include <string>

#include "base/outcome.hpp"
#include "client/transaction.hpp"
#include "deliver/smtp_target.hpp"

namespace odmr::submit {

/// What a smart host that is not ready means for who wants to use it: tls, auth, or unavailable.
Outcome outcome_of_refusal(const std::optional<client::OpenFailure>& failure);

/// What became of one message that was not to wait.
struct DirectResult {
  int exit = 0;      ///< 0; 65 (the message cannot be read as mail), 69 (5xx), 75 (4xx, not reached), 76, 77
  std::string text;  ///< the smart host's words, or why there were none
};

/// Sends one message to the smart host, for all of its recipients or for none: where one is refused, nothing is sent.
/// `trace` is our Received field. Ends the connection.
net::Task<DirectResult> send_direct(deliver::SmtpTarget& smart_host, const client::Envelope& envelope,
                                    std::string trace, client::Content& content);

}  // namespace odmr::submit
