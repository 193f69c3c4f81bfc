#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.hpp"
#include "net/tls.hpp"
#include "sasl/server.hpp"

namespace odmr::provider {

/// Domains in the form in which they are compared (smtp::canonical_domain).
using Domains = std::set<std::string>;

/// Somebody for whom mail is held.
struct Customer {
  std::string name;  ///< ours, for people: that of the table in the configuration
  std::string user;  ///< in AUTH
  Secret password;   ///< empty where only a certificate lets in
  Domains domains;
  std::vector<std::string> certificate_names;  ///< names in a client certificate that stand for this customer
};

/// All customers, and the ways to find one. A domain, a user and a certificate name belong to one customer alone; who
/// fills this has made sure of it (app/provider_settings).
class Customers final : public sasl::Accounts {
 public:
  explicit Customers(std::vector<Customer> customers);

  std::optional<std::string_view> password(std::string_view user) const override;

  /// nullptr where there is none.
  const Customer* with_user(std::string_view user) const;
  const Customer* with_domain(std::string_view canonical_domain) const;
  /// By the first name of a verified client certificate that belongs to somebody; the common name counts only where
  /// the certificate has no other names (RFC 6125 6.4.4).
  const Customer* with_certificate(const net::TlsFacts& facts) const;

  const std::vector<Customer>& all() const { return customers_; }

 private:
  const Customer* find(const std::map<std::string, std::size_t, std::less<>>& by, std::string_view key) const;

  std::vector<Customer> customers_;
  std::map<std::string, std::size_t, std::less<>> by_user_;
  std::map<std::string, std::size_t, std::less<>> by_domain_;
  std::map<std::string, std::size_t, std::less<>> by_certificate_name_;
};

}  // namespace odmr::provider
