#pragma once

#include <set>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "smtp/path.hpp"

namespace odmr::provider {

/// Who of a customer's domains there is. Local parts are compared without regard to case, as nearly all servers do;
/// a domain's postmaster is always there (RFC 5321 4.5.1).
class KnownRecipients {
 public:
  /// "anna@example.org"; "anna" at any of the customer's domains; "@example.org" everybody there. Errors: malformed.
  Result<void> add(std::string_view entry);
  /// What separates a name from what its owner has added, "anna+lists"; empty: nothing does.
  void set_delimiter(std::string delimiter) { delimiter_ = std::move(delimiter); }

  bool knows(const smtp::Mailbox& mailbox) const;

 private:
  bool has(const std::string& local_part, const std::string& domain) const;

  std::set<std::string> entries_;  // local part, "@", domain; one of the two may be empty
  std::string delimiter_;
};

}  // namespace odmr::provider
