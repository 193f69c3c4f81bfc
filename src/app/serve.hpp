#pragma once

#include <functional>

#include "app/daemon.hpp"

namespace odmr::app {

/// The daemon, until SIGTERM or SIGINT. A first signal ends what is not inside a transaction, and the rest after
/// `stop_grace`; a second one ends everything. SIGHUP has the configuration read again, unless we belong to a terminal:
/// there it is the wish to stop. `pages` are what [status] shows; `on_listening` is told each listener's
/// "ADDRESS:PORT", or path, when it listens. Gives the exit status: 0 after a signal, 73, 75 or 78 when it cannot
/// serve.
int serve(const DaemonSettings& settings, const ReadAgain& read_again, const StatusPages& pages,
          const std::function<void(const std::string&)>& on_listening, Log& log);

}  // namespace odmr::app
