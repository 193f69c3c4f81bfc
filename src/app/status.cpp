#include "app/status.hpp"

#include <algorithm>
#include <utility>

#include "queue/intake.hpp"

namespace odmr::app {

namespace {

using journal::Day;
using journal::ReceiptBook;

constexpr auto k_clocks_differ = std::chrono::minutes(5);

// Into `to`, or gives why not.
template <class Value>
Result<void> put(Result<Value> read, Value& to) {
  if (!read) return fail(read.error());
  to = std::move(*read);
  return {};
}

Result<ProviderStatus> look_at(ReceiptBook& receipts, const std::string& provider, WallTime now) {
  ProviderStatus status;
  status.provider = provider;
  auto read = put(receipts.sessions_of(provider), status.sessions);
  if (read) read = put(receipts.last_good(provider), status.last_good);
  if (read) read = put(receipts.last_certificate(provider), status.last_certificate);
  if (read) read = put(receipts.received(provider, now, k_days_looked_back), status.received);
  if (!read) return fail(read.error());
  return status;
}

Result<void> look_at_outbound(ReceiptBook& receipts, OutboundStatus& outbound, WallTime now) {
  auto read = put(receipts.last_flush(), outbound.last);
  if (read) read = put(receipts.last_flush_with_certificate(), outbound.last_certificate);
  if (read) read = put(receipts.sent(now, k_days_looked_back), outbound.sent);
  return read;
}

Result<queue::Queue::Sums> sums_of(queue::Queue& queue) {
  if (auto refreshed = queue.refresh(); !refreshed) return fail(refreshed.error());
  return queue.sums();
}

// Looking makes nothing.
Result<std::optional<queue::Queue::Sums>> outbound_sums(const QueuePlace& place, Clock& clock, Log& log) {
  const auto directory = system_files().open_dir(queue::directory_in(place.state_dir));
  if (!directory && directory.error().code == Errc::not_found) return std::nullopt;
  auto queue = open_queue(place, clock, log);
  if (!queue) return fail(queue.error());
  const auto sums = sums_of(*queue);
  if (!sums) return fail(sums.error());
  return *sums;
}

Result<std::optional<queue::Queue::Sums>> kept_sums(const QueuePlace& place, Clock& clock, Log& log) {
  auto queue = open_kept_queue(place, clock, log);
  if (!queue) return fail(queue.error());
  if (!*queue) return std::nullopt;
  const auto sums = sums_of(**queue);
  if (!sums) return fail(sums.error());
  return *sums;
}

WaitingMail look_at_waiting(const QueuePlace& place, Clock& clock, Log& log) {
  WaitingMail waiting;
  if (auto read = put(outbound_sums(place, clock, log), waiting.outbound); !read)
    waiting.unreadable.push_back("the outbound queue: " + read.error().text);
  if (auto read = put(kept_sums(place, clock, log), waiting.kept); !read)
    waiting.unreadable.push_back("mail kept for the local target: " + read.error().text);
  return waiting;
}

}  // namespace

Result<std::vector<ProviderStatus>> providers_in(journal::Book* book, const std::vector<std::string>& configured,
                                                 WallTime now) {
  std::vector<ProviderStatus> all;
  for (const auto& name : configured) {
    ProviderStatus status;
    status.provider = name;
    status.is_configured = true;
    all.push_back(std::move(status));
  }
  if (book == nullptr) return all;
  auto sessions = book->receipts().last_sessions();
  if (!sessions) return fail(sessions.error());
  for (auto& session : *sessions) {
    auto status = look_at(book->receipts(), session.provider, now);
    if (!status) return fail(status.error());
    status->last = std::move(session);
    const auto there = std::find_if(all.begin(), all.end(),
                                    [&](const ProviderStatus& one) { return one.provider == status->provider; });
    status->is_configured = there != all.end();
    if (status->is_configured)
      *there = std::move(*status);
    else
      all.push_back(std::move(*status));
  }
  return all;
}

Result<Status> status_of(journal::Book* book, const QueuePlace& place, Clock& clock, Log& log) {
  Status status;
  auto read = put(providers_in(book, place.providers, clock.wall()), status.providers);
  if (read && book != nullptr) read = look_at_outbound(book->receipts(), status.outbound, clock.wall());
  if (read && book != nullptr) read = put(book->receipts().totals(), status.totals);
  if (!read) return fail(read.error());
  status.waiting = look_at_waiting(place, clock, log);
  status.troubles = troubles_of(status, place, clock.wall());
  return status;
}

Day sum_of(const std::vector<Day>& days, std::uint64_t last) {
  Day sum;
  for (const auto& day : days) {
    if (day.ago >= last) continue;
    sum.messages += day.messages;
    sum.bytes += day.bytes;
  }
  return sum;
}

bool is_from_the_future(const ProviderStatus& status, WallTime now) {
  return status.last_good && status.last_good->end->time - now > k_clocks_differ;
}

bool is_older_than(const ProviderStatus& status, Duration age, WallTime now) {
  if (!status.is_configured) return false;
  if (!status.last_good || is_from_the_future(status, now)) return true;
  return now - status.last_good->end->time > std::chrono::duration_cast<WallTime::duration>(age);
}

// "5f0c1e9ab27d-2.17" is the 17th message on the second connection of session 5f0c1e9ab27d.
Result<std::vector<journal::SessionReceipt>> sessions_meant(journal::Book& book, const std::string& id) {
  return book.receipts().sessions_named(id.substr(0, id.find('-')), 2);
}

}  // namespace odmr::app
