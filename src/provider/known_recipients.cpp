#include "provider/known_recipients.hpp"

#include "base/ascii.hpp"

namespace odmr::provider {

Result<void> KnownRecipients::add(std::string_view entry) {
  const auto at = entry.rfind('@');
  std::string domain;
  if (at != std::string_view::npos) {
    const auto canonical = smtp::canonical_domain(entry.substr(at + 1));
    if (!canonical) return fail(Errc::malformed, "\"" + escape(entry) + "\" is no address: " + canonical.error().text);
    domain = *canonical;
  }
  const auto local_part = entry.substr(0, at);
  if (local_part.empty() && domain.empty()) return fail(Errc::malformed, "an entry is empty");
  const auto mailbox = smtp::parse_mailbox(std::string(local_part.empty() ? "x" : local_part) + "@example.org");
  if (!mailbox) return fail(Errc::malformed, "\"" + escape(entry) + "\" is no address: " + mailbox.error().text);
  entries_.insert(lower(local_part) + "@" + domain);
  return {};
}

bool KnownRecipients::has(const std::string& local_part, const std::string& domain) const {
  return entries_.contains(local_part + "@" + domain) || entries_.contains(local_part + "@");
}

bool KnownRecipients::knows(const smtp::Mailbox& mailbox) const {
  const auto canonical = smtp::canonical_domain(mailbox.domain);
  const std::string domain = canonical ? *canonical : std::string();
  const std::string local_part = lower(mailbox.local_part);
  if (local_part == "postmaster" || entries_.contains("@" + domain) || has(local_part, domain)) return true;
  const auto cut = delimiter_.empty() ? std::string::npos : local_part.find(delimiter_, 1);
  return cut != std::string::npos && has(local_part.substr(0, cut), domain);
}

}  // namespace odmr::provider
