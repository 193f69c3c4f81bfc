#include "provider/known_recipients.hpp"

#include <algorithm>

#include "smtp/recipients.hpp"

namespace odmr::provider {

Result<void> KnownRecipients::add(std::string_view text) {
  auto entry = smtp::recipient_entry(text);
  if (!entry) return fail(entry.error());
  entries_.insert(std::move(*entry));
  return {};
}

bool KnownRecipients::knows(const smtp::Mailbox& mailbox) const {
  const auto entries = smtp::entries_for(mailbox, delimiter_);
  return smtp::is_postmaster(mailbox) ||
         std::any_of(entries.begin(), entries.end(), [this](const std::string& one) { return entries_.contains(one); });
}

}  // namespace odmr::provider
