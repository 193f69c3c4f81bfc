#include "smtp/recipients.hpp"

#include "base/ascii.hpp"

namespace odmr::smtp {

Result<std::string> recipient_entry(std::string_view text) {
  const auto at = text.rfind('@');
  std::string domain;
  if (at != std::string_view::npos) {
    const auto canonical = canonical_domain(text.substr(at + 1));
    if (!canonical) return fail(Errc::malformed, "\"" + escape(text) + "\" is no address: " + canonical.error().text);
    domain = *canonical;
  }
  const auto local_part = text.substr(0, at);
  if (local_part.empty() && domain.empty()) return fail(Errc::malformed, "an entry is empty");
  const auto mailbox = parse_mailbox(std::string(local_part.empty() ? "x" : local_part) + "@example.org");
  if (!mailbox) return fail(Errc::malformed, "\"" + escape(text) + "\" is no address: " + mailbox.error().text);
  return lower(local_part) + "@" + domain;
}

std::vector<std::string> entries_for(const Mailbox& mailbox, std::string_view delimiter) {
  const auto canonical = canonical_domain(mailbox.domain);
  const std::string domain = canonical ? *canonical : std::string();
  const std::string local_part = lower(mailbox.local_part);
  std::vector<std::string> entries{"@" + domain, local_part + "@" + domain, local_part + "@"};
  const auto cut = delimiter.empty() ? std::string::npos : local_part.find(delimiter, 1);
  if (cut == std::string::npos) return entries;
  entries.push_back(local_part.substr(0, cut) + "@" + domain);
  entries.push_back(local_part.substr(0, cut) + "@");
  return entries;
}

bool is_postmaster(const Mailbox& mailbox) {
  return lower(mailbox.local_part) == "postmaster";
}

}  // namespace odmr::smtp
