#include "receive/guard.hpp"

#include <algorithm>
#include <string_view>

#include "base/ascii.hpp"

namespace odmr::receive {

namespace {

smtp::Reply refusal(const char* why) {
  return smtp::Reply(550, std::string("5.7.1 ") + why);
}

std::string_view take_label(std::string_view& name) {
  const auto label = name.substr(0, name.find('.'));
  name.remove_prefix(std::min(label.size() + 1, name.size()));
  return label;
}

// IDNA reads "own\u3002example" and "\uff4fwn.example" as own.example; to a target that does not, it is somebody else's
// domain, and mail for that might be relayed. Nobody writes so what ASCII can say: only an A-label has another form.
bool is_disguised(std::string_view domain, std::string_view canonical) {
  while (!domain.empty() && !canonical.empty()) {
    const auto label = take_label(domain);
    const auto meant = take_label(canonical);
    if (!is_ascii(label) && !meant.starts_with("xn--")) return true;
  }
  return domain.size() != canonical.size();
}

}  // namespace

std::optional<smtp::Reply> Guard::objection(const smtp::Path& forward_path) const {
  const smtp::Mailbox& mailbox = forward_path.mailbox;
  if (!forward_path.source_route.empty()) return refusal("no source routes here");
  if (mailbox.domain.empty()) return std::nullopt;  // the parser lets only postmaster be bare
  const auto domain = smtp::canonical_domain(mailbox.domain);
  if (!domain || domains_.count(*domain) == 0) return refusal("this domain was not asked for");
  if (is_disguised(mailbox.domain, *domain)) return refusal("the domain is written in a way that not everybody reads");
  if (smtp::routes_onwards(mailbox.local_part)) return refusal("no relaying by the local part");
  return std::nullopt;
}

}  // namespace odmr::receive
