#pragma once

#include <string>
#include <vector>

#include "base/stop.hpp"
#include "client/session.hpp"

namespace odmr::turn {

/// What came of telling a provider which recipients there are.
struct RecipientsTold {
  enum class How {
    known,    ///< it has this very list
    told,     ///< it has it now
    refused,  ///< it goes on as before
  };
  How how = How::refused;
  std::string text;  ///< why, in words
};

/// Whether the provider wants to know (XRECIPIENTS, odmrd's own), so that it refuses mail for others.
bool takes_recipients(const client::Session& session);

/// Tells it on a logged-in session, unless it knows: it says salt and digest of the list that it has. `entries`: as
/// smtp::recipient_entry() has them; none at all: the list is withdrawn. No address is sent, only what SHA-256 makes of
/// it behind the salt. That it is refused is no error. Errors: the connection is over.
net::Task<Result<RecipientsTold>> tell_recipients(client::Session& session, const std::vector<std::string>& entries,
                                                  Duration patience, Stop& stop);

}  // namespace odmr::turn
