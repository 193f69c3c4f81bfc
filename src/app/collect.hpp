#pragma once

#include "app/fetch.hpp"

namespace odmr::app {

/// The session with a provider that has a mailbox for us (plan.mailbox): local target, line, login, listing, mail.
net::Task<SessionReport> collect_mail(const FetchPlan& plan, net::Network& network, const Books& books,
                                      OnProgress on_progress, Log& log, Stop& stop);

}  // namespace odmr::app
