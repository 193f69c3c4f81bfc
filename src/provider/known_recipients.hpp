#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "smtp/path.hpp"

namespace odmr::provider {

/// Who of a customer's domains there is; a domain's postmaster always.
class KnownRecipients {
 public:
  /// As smtp::recipient_entry() has it.
  Result<void> add(std::string_view text);
  /// Of smtp::entries_for(); empty without it.
  void set_delimiter(std::string delimiter) { delimiter_ = std::move(delimiter); }

  bool knows(const smtp::Mailbox& mailbox) const;
  /// Entries: addresses, and whole domains.
  std::size_t size() const { return entries_.size(); }

 private:
  std::set<std::string> entries_;
  std::string delimiter_;
};

}  // namespace odmr::provider
