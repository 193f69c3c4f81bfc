#pragma once

#include <functional>
#include <string>

#include "app/settings.hpp"
#include "client/transaction.hpp"
#include "submit/direct.hpp"

namespace odmr::app {

struct SubmitRunOptions {
  bool direct = false;  ///< nothing is stored: the smart host's answer is the caller's
  bool stdio = false;   ///< one session on stdin and stdout, instead of listening
};

/// `odmr submit`: the SMTP server for local programs, at the addresses of [submit], or on the sockets that were passed
/// to us; until SIGTERM, SIGINT or SIGHUP. `on_listening` is told each address when it listens there.
/// Gives the exit status: 0 after a signal, or when the one session has ended in good order; 73, 75 or 78 where there
/// cannot be any; of the one session 75 too when it ended inside a message, and with `direct` what kept the smart host
/// from us.
int submit(const Settings& settings, const SubmitRunOptions& options,
           const std::function<void(const std::string&)>& on_listening, Log& log);

/// `odmr sendmail --direct`: one message to the smart host, all or nothing, nothing stored. `content` has CRLF line
/// ends; `trace` is our Received field. Exit 78 where the configuration has no smart host.
submit::DirectResult send_direct(const Settings& settings, const client::Envelope& envelope, const std::string& trace,
                                 client::Content& content, Log& log);

}  // namespace odmr::app
