#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "app/fetchmailrc.hpp"
#include "app/setup.hpp"

namespace odmr::app {

/// What an entry of a fetchmailrc with POP3, IMAP or ETRN becomes: a provider for each of its folders, one mostly.
struct CarriedProviders {
  std::vector<FurtherProvider> providers;  ///< none: it cannot be carried over, and `notes` says why
  std::vector<std::string> notes;          ///< what was not carried over, or became something else; a line each
};

/// Whether there is such a protocol here.
bool is_carried_protocol(const std::string& protocol);

/// `postmaster`: of `set postmaster`, empty without. `names`: of providers that there are already; the new ones are
/// added. `hostname`: ours, for ETRN without fetchdomains.
CarriedProviders carry_over_mailbox(const FetchmailEntry& entry, const std::string& postmaster,
                                    const std::string& hostname, std::set<std::string>& names);

/// "HOST", "HOST/PORT", "/SOCKET" of fetchmail's smtphost, as a target.
std::string target_of_smtphost(const std::string& smtphost, bool is_lmtp);

}  // namespace odmr::app
