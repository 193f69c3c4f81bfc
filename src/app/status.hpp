#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/queue_place.hpp"
#include "journal/book.hpp"

namespace odmr::app {

/// How far back status looks for what came and went.
inline constexpr std::uint64_t k_days_looked_back = 30;

/// How it stands with a provider, as far as the journal tells.
struct ProviderStatus {
  std::string provider;
  bool is_configured = false;
  std::uint64_t sessions = 0;  ///< whose receipts are kept
  std::optional<journal::SessionReceipt> last;
  std::optional<journal::SessionReceipt> last_good;            ///< that ended with exit status 0
  std::optional<journal::ConnectionReceipt> last_certificate;  ///< the last connection on which it showed one
  std::vector<journal::Day> received;                          ///< in the last k_days_looked_back days
};

/// How it stands with mail that goes out.
struct OutboundStatus {
  std::optional<journal::FlushReceipt> last;
  std::optional<journal::FlushReceipt> last_certificate;  ///< the last flush in which the smart host showed one
  std::vector<journal::Day> sent;                         ///< in the last k_days_looked_back days
};

/// Mail that waits here. No value where there is nothing that it could wait in.
struct WaitingMail {
  std::optional<queue::Queue::Sums> outbound;
  std::optional<queue::Queue::Sums> kept;  ///< for the local target
  std::vector<std::string> unreadable;     ///< why it is not known; in words
};

/// Something that somebody has to look at.
struct Trouble {
  std::string with;    ///< "isp", "outbound", "queue" …
  std::string text;    ///< what is wrong
  std::string remedy;  ///< what can be done about it; may be empty
};

struct Status {
  std::vector<ProviderStatus> providers;  ///< those of the configuration in its order, then those of the journal alone
  OutboundStatus outbound;
  WaitingMail waiting;
  std::vector<journal::Total> totals;
  std::vector<Trouble> troubles;
};

/// `book`: null where there is no journal yet. Errors: those of reading it.
Result<Status> status_of(journal::Book* book, const QueuePlace& place, Clock& clock, Log& log);

/// The part of it that the journal tells of the providers.
Result<std::vector<ProviderStatus>> providers_in(journal::Book* book, const std::vector<std::string>& configured,
                                                 WallTime now);

/// What is wrong by all the rest of it, the gravest kind first.
std::vector<Trouble> troubles_of(const Status& status, const QueuePlace& place, WallTime now);

/// Sums of the days that ended no longer than `days` ago.
journal::Day sum_of(const std::vector<journal::Day>& days, std::uint64_t last);

/// Whether the last good session ended in the future, by more than clocks differ that are set right: this one was ahead
/// then, or is behind now, and how long ago it was is not known.
bool is_from_the_future(const ProviderStatus& status, WallTime now);

/// Whether the last good session with a provider of the configuration ended longer ago than that, or never was, or
/// nobody knows when.
bool is_older_than(const ProviderStatus& status, Duration age, WallTime now);

/// The sessions that are meant by `id`: the beginning of a session's own, or the id of one of its messages, as it
/// stands in the log and in Received. Two are enough to see that it is not clear. Errors: those of reading.
Result<std::vector<journal::SessionReceipt>> sessions_meant(journal::Book& book, const std::string& id);

}  // namespace odmr::app
