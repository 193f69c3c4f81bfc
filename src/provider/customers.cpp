#include "provider/customers.hpp"

#include <utility>

#include "base/ascii.hpp"

namespace odmr::provider {

Customers::Customers(std::vector<Customer> customers) : customers_(std::move(customers)) {
  for (std::size_t i = 0; i < customers_.size(); ++i) {
    by_user_.emplace(customers_[i].user, i);
    for (const auto& domain : customers_[i].domains) by_domain_.emplace(domain, i);
    for (const auto& name : customers_[i].certificate_names) by_certificate_name_.emplace(lower(name), i);
  }
}

const Customer* Customers::find(const std::map<std::string, std::size_t, std::less<>>& by, std::string_view key) const {
  const auto found = by.find(key);
  return found == by.end() ? nullptr : &customers_[found->second];
}

const Customer* Customers::with_user(std::string_view user) const {
  return find(by_user_, user);
}

const Customer* Customers::with_domain(std::string_view canonical_domain) const {
  return find(by_domain_, canonical_domain);
}

std::optional<std::string_view> Customers::password(std::string_view user) const {
  const Customer* customer = with_user(user);
  if (customer == nullptr || customer->password.empty()) return std::nullopt;
  return customer->password.text();
}

const Customer* Customers::with_certificate(const net::TlsFacts& facts) const {
  for (const auto& name : facts.peer_names) {
    if (const Customer* customer = find(by_certificate_name_, lower(name))) return customer;
  }
  return facts.peer_names.empty() ? find(by_certificate_name_, lower(facts.peer_common_name)) : nullptr;
}

}  // namespace odmr::provider
