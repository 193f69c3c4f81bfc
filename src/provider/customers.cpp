#include "provider/customers.hpp"

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"
#include "smtp/path.hpp"

namespace odmr::provider {

Customers::Customers(std::vector<Account> accounts) : accounts_(std::move(accounts)) {
  for (std::size_t i = 0; i < accounts_.size(); ++i) {
    const Customer& customer = accounts_[i].customer;
    by_user_.emplace(name_of(customer.user), i);
    if (accounts_[i].verifier || !accounts_[i].password.empty()) with_login_.push_back(i);
    longest_hold_ = std::max(longest_hold_, customer.hold);
    longest_keep_ = std::max(longest_keep_, customer.keep);
    may_send_ = may_send_ || customer.outbound;
    may_say_etrn_ = may_say_etrn_ || customer.etrn != nullptr;
    may_upload_recipients_ = may_upload_recipients_ || customer.uploads_recipients;
    by_name_.emplace(lower(customer.name), i);
    for (const auto& domain : customer.domains) by_domain_.emplace(domain, i);
    for (const auto& name : customer.certificate_names) by_certificate_name_.emplace(lower(name), i);
  }
}

const Account* Customers::find(const std::map<std::string, std::size_t, std::less<>>& by, std::string_view key) const {
  const auto found = by.find(key);
  return found == by.end() ? nullptr : &accounts_[found->second];
}

const Account* Customers::account_with(std::string_view user) const {
  const std::string name = name_of(user);
  const Account* const account = find(by_user_, name);
  return account != nullptr ? account : find(by_domain_, name);
}

// A user is a domain's name mostly, and may be written as one may.
std::string Customers::name_of(std::string_view user) const {
  const auto domain = smtp::canonical_domain(user);
  return domain ? *domain : std::string(user);
}

const Customer* Customers::with_user(std::string_view user) const {
  const Account* const account = account_with(user);
  return account == nullptr ? nullptr : &account->customer;
}

const Customer* Customers::with_domain(std::string_view canonical_domain) const {
  const Account* const account = find(by_domain_, canonical_domain);
  return account == nullptr ? nullptr : &account->customer;
}

const Customer* Customers::with_name(std::string_view name) const {
  const Account* const account = find(by_name_, lower(name));
  return account == nullptr ? nullptr : &account->customer;
}

std::optional<std::string_view> Customers::password(std::string_view user) const {
  const Account* const account = account_with(user);
  if (account == nullptr || account->password.empty()) return std::nullopt;
  return account->password.text();
}

const sasl::ScramVerifier* Customers::verifier(std::string_view user) const {
  const Account* const account = account_with(user);
  return account == nullptr ? nullptr : account->verifier.get();
}

const sasl::ScramVerifier* Customers::stand_in(std::uint32_t number) const {
  return with_login_.empty() ? nullptr : accounts_[with_login_[number % with_login_.size()]].verifier.get();
}

const Customer* Customers::with_certificate(const net::TlsFacts& facts) const {
  for (const auto& name : facts.peer_names) {
    if (const Account* account = find(by_certificate_name_, lower(name))) return &account->customer;
  }
  if (!facts.peer_names.empty()) return nullptr;
  const Account* const account = find(by_certificate_name_, lower(facts.peer_common_name));
  return account == nullptr ? nullptr : &account->customer;
}

}  // namespace odmr::provider
