#include "provider/login_guard.hpp"

namespace odmr::provider {

bool LoginGuard::keeps_out(const std::string& address, TimePoint now) const {
  const auto found = by_address_.find(address);
  if (found == by_address_.end()) return false;
  const Entry& entry = *found->second;
  return entry.failures >= options_.most_failures && now - entry.last < options_.lockout;
}

bool LoginGuard::failed(const std::string& address, TimePoint now) {
  if (address.empty()) return false;
  const auto found = by_address_.find(address);
  if (found == by_address_.end()) {
    entries_.push_front({address, 0, now});
    by_address_.emplace(address, entries_.begin());
  } else {
    entries_.splice(entries_.begin(), entries_, found->second);
  }
  Entry& entry = entries_.front();
  if (now - entry.last >= options_.lockout) entry.failures = 0;
  entry.last = now;
  ++entry.failures;
  if (entries_.size() > options_.most_addresses) {
    by_address_.erase(entries_.back().address);
    entries_.pop_back();
  }
  return keeps_out(address, now);
}

void LoginGuard::succeeded(const std::string& address) {
  const auto found = by_address_.find(address);
  if (found == by_address_.end()) return;
  entries_.erase(found->second);
  by_address_.erase(found);
}

}  // namespace odmr::provider
