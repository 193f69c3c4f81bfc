#include "provider/allowances.hpp"

#include <algorithm>
#include <chrono>

namespace odmr::provider {

bool Allowances::take(const Customer& customer, TimePoint now) {
  const auto limit = static_cast<double>(customer.outbound_limit);
  const auto [found, is_new] = of_.try_emplace(customer.name, Left{limit, now});
  Left& left = found->second;
  const double hours = std::chrono::duration<double, std::ratio<3600>>(now - left.as_of).count();
  left.recipients = std::min(limit, left.recipients + hours * limit);
  left.as_of = now;
  if (left.recipients < 1) return false;
  left.recipients -= 1;
  return true;
}

}  // namespace odmr::provider
