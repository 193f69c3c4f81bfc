#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/held.hpp"
#include "app/provider_settings.hpp"
#include "app/status.hpp"
#include "provider/call_book.hpp"
#include "provider/held_mail.hpp"
#include "provider/recipient_book.hpp"

namespace odmr::app {

/// How many of the last calls, and of the addresses with refused logins, are shown.
inline constexpr std::uint64_t k_calls_shown = 20;
inline constexpr std::uint64_t k_addresses_shown = 10;

/// The mail that waits for a customer.
struct HeldFor {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::optional<WallTime> oldest;
};
/// By the customer's name; of who has none there may be no entry.
using HeldByCustomer = std::map<std::string, HeldFor>;
HeldByCustomer held_by_customer(const HeldList& list, const DaemonSettings& settings);
HeldByCustomer held_by_customer(const provider::HeldMail& held, const DaemonSettings& settings);

/// The list of recipients that a customer has told us.
struct RecipientsTold {
  std::size_t count = 0;
  WallTime uploaded;
};
/// By the customer's name, of those that may tell one and have.
using RecipientsByCustomer = std::map<std::string, RecipientsTold>;
/// `list_of`: the list of the customer called so; null: none.
RecipientsByCustomer recipients_by_customer(
    const DaemonSettings& settings,
    const std::function<std::shared_ptr<const provider::RecipientList>(const std::string& customer)>& list_of);

/// How it stands with a customer.
struct CustomerStatus {
  std::string name;
  provider::Domains domains;
  std::uint64_t quota = 0;  ///< 0: none
  HeldFor held;
  std::optional<provider::Call> last;  ///< that is over
  std::optional<WallTime> last_good;   ///< when that ended
  std::uint64_t lines = 0;             ///< under way
  std::uint64_t waiting = 0;           ///< of these, how many wait for mail
  std::optional<RecipientsTold> recipients = {};
};

/// A certificate that we show.
struct CertificateStatus {
  std::string listener;
  WallTime until;
};

/// How it stands with `odmrd`.
struct DaemonStatus {
  WallTime now;
  std::string hostname;
  bool runs = true;
  std::vector<CustomerStatus> customers;         ///< in the order of the configuration
  std::vector<provider::Call> under_way;         ///< none where it does not run
  std::vector<provider::Call> newest;            ///< the last that are over, the newest first
  std::vector<provider::CallDay> days;           ///< of the last k_days_looked_back, today first
  std::vector<provider::RefusedLogins> refused;  ///< in the last 24 hours, the last one first
  std::vector<provider::CallTotal> totals;
  std::vector<CertificateStatus> certificates;
  std::uint64_t bounces = 0;  ///< messages that customers refused for good
  std::uint64_t failed = 0;   ///< likewise, with nobody to be told
  std::optional<std::uint64_t> free_space;
  std::vector<Trouble> troubles;
};

/// What only who serves knows: `held` from memory, and what is under way. For others what the disk tells.
struct LiveFacts {
  HeldByCustomer held;
  std::optional<std::vector<provider::Call>> under_way;  ///< none: as the book has it
  std::vector<Trouble> troubles;                         ///< that are known already
  bool runs = true;
  RecipientsByCustomer recipients = {};
};

/// Reads the book and looks at the disk: may wait for it. `book`: null where there is none. What cannot be read is a
/// trouble of its own.
DaemonStatus daemon_status(const DaemonSettings& settings, LiveFacts facts, provider::CallBook* book, WallTime now);

/// For a process beside the daemon, or without one: looks into the spool. Errors: the spool cannot be read.
Result<DaemonStatus> daemon_status_of(const DaemonSettings& settings, WallTime now);

}  // namespace odmr::app
