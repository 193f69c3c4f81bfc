#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/secret.hpp"
#include "client/open.hpp"
#include "net/networks.hpp"
#include "net/tls.hpp"
#include "provider/known_recipients.hpp"
#include "sasl/server.hpp"

namespace odmr::provider {

/// Domains in the form in which they are compared (smtp::canonical_domain).
using Domains = std::set<std::string>;

/// How a customer's mail goes to it over a connection of our own, when it says ETRN (RFC 1985).
struct Etrn {
  enum class To {
    caller,  ///< the address from which it was said
    host,    ///< that of `server`
    domain,  ///< the hosts that take the mail of the domain of that name (MX)
  };
  To to = To::caller;
  client::Server server;       ///< the endpoint as `to` has it, with the port; TLS and login of the push
  bool without_login = false;  ///< anybody may say it, but for a caller's address
};

/// Somebody for whom mail is held.
struct Customer {
  std::string name;  ///< ours, for people: that of the table in the configuration
  std::string user;  ///< in AUTH; any of its domains is as good
  Domains domains;
  std::vector<std::string> certificate_names;  ///< names in a client certificate that stand for this customer
  bool atrn = true;                            ///< may say it
  bool one_atrn_at_a_time = true;              ///< of all its domains; else of each
  Duration atrn_interval{};                    ///< ATRN again before that is refused (RFC 2645 5.2.1); zero: never
  Duration hold{};                             ///< how long an ATRN may wait for mail; zero: it does not
  bool holds_all = false;                      ///< also one before which no XHOLD came
  Duration keep{};                             ///< how long a turned line may be kept when all is sent; zero: it is not
  net::Networks from = {};                     ///< where ATRN may come from; empty: anywhere
  std::shared_ptr<const Etrn> etrn = nullptr;  ///< null: it may not say that
  std::uint64_t quota = 0;                     ///< octets that are held for it; 0: as many as the disk takes
  std::shared_ptr<const KnownRecipients> recipients = nullptr;  ///< null: whoever is in its domains
  bool uploads_recipients = false;                              ///< it tells them, too (RecipientBook)
  std::string recipient_delimiter = "+";                        ///< for those; empty: none
  std::optional<Duration> lifetime = {};                        ///< of mail that it does not fetch; none: for ever
  std::optional<Duration> warn_after = {};  ///< mail that waits longer is said to the postmaster; none: never
  bool outbound = false;                    ///< mail of its own is taken, for the smart host
  std::uint64_t outbound_limit = 500;       ///< recipients of such mail in an hour
};

/// A customer, and what it proves that it is by.
struct Account {
  Customer customer;
  Secret password;  ///< empty where only a certificate lets in, or a verifier is kept in its place
  std::shared_ptr<const sasl::ScramVerifier> verifier = nullptr;
};

/// All customers, and the ways to find one. A domain, a user and a certificate name belong to one customer alone; who
/// fills this has made sure of it (app/provider_settings).
class Customers final : public sasl::Accounts {
 public:
  explicit Customers(std::vector<Account> accounts);

  std::optional<std::string_view> password(std::string_view user) const override;
  const sasl::ScramVerifier* verifier(std::string_view user) const override;
  const sasl::ScramVerifier* stand_in(std::uint32_t number) const override;
  std::string name_of(std::string_view user) const override;
  std::string_view salting_key() const override { return salting_key_ ? salting_key_->text() : std::string_view(); }
  /// What salting_key() gives: the spool keeps one (salting_key_in). Shared by who takes this one's place.
  void use_salting_key(std::shared_ptr<const Secret> key) { salting_key_ = std::move(key); }
  const std::shared_ptr<const Secret>& shared_salting_key() const { return salting_key_; }

  /// nullptr where there is none. A domain of the customer's is as good as its user.
  const Customer* with_user(std::string_view user) const;
  const Customer* with_domain(std::string_view canonical_domain) const;
  /// By our name for it; capitals make no difference.
  const Customer* with_name(std::string_view name) const;
  /// By the first name of a verified client certificate that belongs to somebody; the common name counts only where
  /// the certificate has no other names (RFC 6125 6.4.4).
  const Customer* with_certificate(const net::TlsFacts& facts) const;

  const std::vector<Account>& all() const { return accounts_; }
  /// The longest that an ATRN of any of them may wait; zero where none may.
  Duration longest_hold() const { return longest_hold_; }
  /// The longest that a turned line of any of them may be kept; likewise.
  Duration longest_keep() const { return longest_keep_; }
  /// Whether mail of its own is taken from any of them; whether any may say ETRN, or tell its recipients.
  bool may_send() const { return may_send_; }
  bool may_say_etrn() const { return may_say_etrn_; }
  bool may_upload_recipients() const { return may_upload_recipients_; }

 private:
  const Account* find(const std::map<std::string, std::size_t, std::less<>>& by, std::string_view key) const;
  const Account* account_with(std::string_view user) const;

  std::vector<Account> accounts_;
  std::vector<std::size_t> with_login_;  // who have a password or a verifier
  std::shared_ptr<const Secret> salting_key_;
  Duration longest_hold_{};
  Duration longest_keep_{};
  bool may_send_ = false;
  bool may_say_etrn_ = false;
  bool may_upload_recipients_ = false;
  std::map<std::string, std::size_t, std::less<>> by_name_;
  std::map<std::string, std::size_t, std::less<>> by_user_;
  std::map<std::string, std::size_t, std::less<>> by_domain_;
  std::map<std::string, std::size_t, std::less<>> by_certificate_name_;
};

}  // namespace odmr::provider
