#pragma once

#include <memory>
#include <string>

#include "client/open.hpp"
#include "collect/mailbox.hpp"

namespace odmr::collect {

enum class Protocol { pop3, imap };

/// Which mailbox.
struct Place {
  Protocol protocol = Protocol::pop3;
  std::string folder = "INBOX";  ///< IMAP's; UTF-8
  bool is_read_only = false;     ///< IMAP: EXAMINE, where nothing is to be deleted or marked
};

/// A mailbox that is open.
struct Opened {
  std::unique_ptr<Mailbox> mailbox;
  std::string tls;              ///< "TLSv1.3", empty in clear text
  std::string mechanism;        ///< "SCRAM-SHA-256", "APOP", "USER", "LOGIN" …
  std::size_t connections = 1;  ///< that were made on the way, this one included
  std::size_t host = 0;         ///< as client::Opened has it
};

/// Connects, reads the greeting, begins TLS as the policy has it, logs in, and opens the mailbox. The server's `login`
/// must be there. The rest is as client::open() has it. The steps told are the same ones; `hello` is what the server
/// can.
net::Task<tl::expected<Opened, client::OpenFailure>> open(net::Network& network, const client::Server& server,
                                                          const Place& place, Log& log, Stop& stop,
                                                          const client::OnStep* on_step = nullptr,
                                                          const client::OnNextHost* on_next_host = nullptr);

}  // namespace odmr::collect
