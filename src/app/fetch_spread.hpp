#pragma once

#include "app/fetch.hpp"

namespace odmr::app {

/// As fetch(), with the domains spread over as many ATRN sessions at a time as `plan` says: where a provider waits for
/// an answer to each message, several such sessions fill a long line. The first begins alone; the others follow once
/// the provider has answered its ATRN, so that a login that fails does so once. A provider that allows no further one
/// (450) is asked for those domains afterwards. No line is held.
net::Task<SessionReport> fetch_spread(const FetchPlan& plan, net::Network& network, const Books& books,
                                      BeforeTurn* before_turn, OnProgress on_progress, Log& log, Stop& stop);

}  // namespace odmr::app
