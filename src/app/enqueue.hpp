#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/provider_settings.hpp"
#include "base/file.hpp"

namespace odmr::app {

/// A message as it was put into the spool: once per customer.
struct Enqueued {
  std::string id;
  std::string customer;
  std::vector<std::string> recipients;
};

/// Why nothing was put into the spool.
struct EnqueueFailure {
  int exit = 0;  ///< sysexits: 64 an address that is none, 65 a message that cannot be sent, 67 a domain that no
                 ///< customer has, 75 the spool or the input
  std::string text;
};

/// Takes one message from `input` into the spool, in constant memory, adding CR before each lone LF and nothing else.
/// It is on disk, for all recipients, when this returns its ids; otherwise none of it is kept. `sender` is "" or "<>"
/// for the null reverse-path.
tl::expected<std::vector<Enqueued>, EnqueueFailure> enqueue(const DaemonSettings& settings, const std::string& sender,
                                                            const std::vector<std::string>& recipients, int input,
                                                            WallTime now, FileOps& files = system_files());

}  // namespace odmr::app
