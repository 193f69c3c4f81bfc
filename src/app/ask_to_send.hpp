#pragma once

#include "app/fetch.hpp"

namespace odmr::app {

/// The session with a provider whose mail comes some other way (plan.only_asks): local target, which it is to come to,
/// line, signal, ETRN. Nothing is received.
net::Task<SessionReport> ask_to_send(const FetchPlan& plan, net::Network& network, const Books& books, Log& log,
                                     Stop& stop);

/// plan.signal, before a session that has one. No value: it was taken, or the local target is not ready and it was kept
/// back; the session may begin. Else that session is over before it has begun, for this reason.
net::Task<std::optional<SessionReport>> signal_first(const FetchPlan& plan, net::Network& network, const Books& books,
                                                     Log& log, Stop& stop);

}  // namespace odmr::app
