#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/settings.hpp"
#include "collect/collection.hpp"
#include "collect/open.hpp"

namespace odmr::app {

/// The mailbox that a provider has for us in place of a queue.
struct MailboxPlan {
  collect::Place place;
  collect::Keeping keeping;
  bool unseen_only = false;
  bool marks_seen = false;
  bool bounces_refused = false;
  collect::Addressing addressing;
};

/// The place of a part of a session among those that fetch for it at the same time.
struct Lane {
  std::function<std::uint64_t()> next_connection;  ///< its number within the session
  std::function<void()> on_reply;                  ///< the provider has answered ATRN
};

/// Everything that a session with one provider needs, secrets and trust loaded.
struct FetchPlan {
  std::string provider;    ///< its name in the configuration
  std::string session_id;  ///< in the log, in Received, and in the report
  std::string hostname;
  client::Server server;
  std::vector<std::string> domains;
  bool atrn_all = false;
  std::optional<std::vector<std::string>> recipients = {};  ///< the provider is told them, as entries; none: nothing
  std::uint64_t max_sessions = 1000;
  std::uint64_t parallel = 1;  ///< ATRN sessions at a time; fetch_spread() is for more than one
  std::optional<Lane> lane;    ///< it is a part of a session; whoever parted it writes the session's receipts
  deliver::TargetOptions target;
  TimeoutSettings timeouts;
  std::string scratch_directory;  ///< for files without a name
  LimitSettings limits;
  std::uint64_t largest_for_now = 0;  ///< of a message, while this line is paid for; 0: any
  bool soft_bounce = false;
  std::size_t breaker = 5;
  bool keeps_deferred = false;  ///< for who gives the Books
  bool mend_stray_newlines = false;
  std::string certificate;  ///< SHA-256 of the client certificate's file; empty without one
  /// Of what is said to the provider; asked for when it refused us. May be empty: then it is not remembered.
  std::function<std::string()> fingerprint;
  std::string deliver_table = "[deliver]";  ///< of the configuration: whose target it is
  std::optional<MailboxPlan> mailbox;       ///< over POP3 or IMAP; else mail comes by ATRN, unless:
  bool only_asks = false;                   ///< mail comes some other way, once `signal` and ETRN have asked for it
  std::vector<std::string> nodes;           ///< of ETRN; empty: it is the signal alone
  std::optional<trigger::Signal> signal;    ///< sent before anything else, whatever comes behind it
};

}  // namespace odmr::app
