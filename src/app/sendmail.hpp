#pragma once

#include <string>

#include "app/local_message.hpp"
#include "app/sendmail_options.hpp"
#include "app/submission_settings.hpp"
#include "base/file.hpp"

namespace odmr::app {

/// What sendmail(1) is about: takes one message from `input` and puts it into the queue, or hands it in at the socket.
/// It is on disk, or in the server's hands, when this returns; otherwise none of it is kept. Where the queue is another
/// user's and we are root, we are that user afterwards.
/// Failures by sysexits: 64 the call, 65 the message, 67 a recipient, 69 refused, 75 later, 77 a right that we lack,
/// 78 the configuration.
Sent<> sendmail(const SendmailOptions& options, const SubmissionPlace& place, int input, WallTime now,
                FileOps& files = system_files());

}  // namespace odmr::app
