#pragma once

#include "app/local_message.hpp"
#include "app/settings.hpp"
#include "base/log.hpp"

namespace odmr::app {

/// `sendmail --direct`: takes one message from `input` and hands it to the smart host, for all of its recipients or for
/// none; nothing is stored. Failures by sysexits, the smart host's words among them.
Sent<> sendmail_direct(const SendmailOptions& options, const Settings& settings, int input, WallTime now, Log& log);

}  // namespace odmr::app
