#include "app/status.hpp"

#include <algorithm>
#include <utility>

namespace odmr::app {

namespace {

Result<ProviderStatus> look_at(journal::ReceiptBook& receipts, const std::string& provider) {
  ProviderStatus status;
  status.provider = provider;
  const auto sessions = receipts.sessions_of(provider);
  if (!sessions) return fail(sessions.error());
  status.sessions = *sessions;
  auto good = receipts.last_good(provider);
  if (!good) return fail(good.error());
  status.last_good = std::move(*good);
  return status;
}

}  // namespace

Result<std::vector<ProviderStatus>> status_of(journal::Book* book, const std::vector<std::string>& configured) {
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
    auto status = look_at(book->receipts(), session.provider);
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

bool is_older_than(const ProviderStatus& status, Duration age, WallTime now) {
  if (!status.is_configured) return false;
  if (!status.last_good) return true;
  return now - status.last_good->end->time > std::chrono::duration_cast<WallTime::duration>(age);
}

// "5f0c1e9ab27d-2.17" is the 17th message on the second connection of session 5f0c1e9ab27d.
Result<std::vector<journal::SessionReceipt>> sessions_meant(journal::Book& book, const std::string& id) {
  return book.receipts().sessions_named(id.substr(0, id.find('-')), 2);
}

}  // namespace odmr::app
