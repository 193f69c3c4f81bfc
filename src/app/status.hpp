#pragma once

#include <optional>
#include <string>
#include <vector>

#include "journal/book.hpp"

namespace odmr::app {

/// How it stands with a provider, as far as the journal tells.
struct ProviderStatus {
  std::string provider;
  bool is_configured = false;
  std::uint64_t sessions = 0;  ///< whose receipts are kept
  std::optional<journal::SessionReceipt> last;
  std::optional<journal::SessionReceipt> last_good;  ///< that ended with exit status 0
};

/// Of the providers of the configuration, in its order, and then of those that only the journal knows. `book`: null
/// where there is no journal yet. Errors: those of reading.
Result<std::vector<ProviderStatus>> status_of(journal::Book* book, const std::vector<std::string>& configured);

/// Whether the last good session with a provider of the configuration ended longer ago than that, or never was.
bool is_older_than(const ProviderStatus& status, Duration age, WallTime now);

/// The sessions that are meant by `id`: the beginning of a session's own, or the id of one of its messages, as it
/// stands in the log and in Received. Two are enough to see that it is not clear. Errors: those of reading.
Result<std::vector<journal::SessionReceipt>> sessions_meant(journal::Book& book, const std::string& id);

}  // namespace odmr::app
