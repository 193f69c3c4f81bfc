#pragma once

#include "app/fetch_plan.hpp"
#include "app/probe_part.hpp"
#include "send/flush.hpp"

namespace odmr::app {

/// Somebody waits for the answer: half a minute for each, where a run would have more.
void be_impatient(client::Patience& patience);

/// Everything of a session with a provider up to ATRN or ETRN, which are never said, and QUIT; a mailbox as far as its
/// listing.
net::Task<Outcome> probe_provider(const FetchPlan& plan, net::Network& network, Log& log, Stop& stop,
                                  const OnProbeStep& on_step);

/// plan.signal as far as the connection: the text is not sent.
net::Task<Outcome> probe_signal(const FetchPlan& plan, net::Network& network, Stop& stop, const OnProbeStep& on_step);

/// A local target over SMTP or LMTP: MAIL and RCPT for the postmaster of each domain, never DATA.
net::Task<Outcome> probe_target(const deliver::TargetOptions& options, const std::string& table,
                                const std::vector<std::string>& domains, net::Network& network, Log& log, Stop& stop,
                                const OnProbeStep& on_step);

/// The smart host, with its POP login where there is one, up to the login.
net::Task<Outcome> probe_smart_host(const send::FlushOptions& options, net::Network& network, Log& log, Stop& stop,
                                    const OnProbeStep& on_step);

}  // namespace odmr::app
