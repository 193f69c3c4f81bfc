#include "provider/visits.hpp"

namespace odmr::provider {

Visits::Visit::~Visit() {
  if (under_way_) --*under_way_;
}

bool Visits::is_busy(const Customer& customer) const {
  return customer.one_atrn_at_a_time && is_under_way(customer);
}

bool Visits::is_under_way(const Customer& customer) const {
  const auto found = of_.find(customer.name);
  return found != of_.end() && *found->second.under_way > 0;
}

bool Visits::is_too_soon(const Customer& customer, TimePoint now) const {
  const auto found = of_.find(customer.name);
  if (found == of_.end() || found->second.last_without_mail == TimePoint::min()) return false;
  return now - found->second.last_without_mail < customer.atrn_interval;
}

void Visits::had_no_mail(const Customer& customer, TimePoint now) {
  of_[customer.name].last_without_mail = now;
}

Visits::Visit Visits::begin(const Customer& customer) {
  return Visit(of_[customer.name].under_way);
}

}  // namespace odmr::provider
