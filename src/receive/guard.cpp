#include "receive/guard.hpp"

namespace odmr::receive {

namespace {

smtp::Reply refusal(const char* why) {
  return smtp::Reply(550, std::string("5.7.1 ") + why);
}

}  // namespace

std::optional<smtp::Reply> Guard::objection(const smtp::Path& forward_path) const {
  const smtp::Mailbox& mailbox = forward_path.mailbox;
  if (!forward_path.source_route.empty()) return refusal("no source routes here");
  if (mailbox.domain.empty()) return std::nullopt;  // the parser lets only postmaster be bare
  const auto domain = smtp::canonical_domain(mailbox.domain);
  if (!domain || domains_.count(*domain) == 0) return refusal("this domain was not asked for");
  if (smtp::routes_onwards(mailbox.local_part)) return refusal("no relaying by the local part");
  return std::nullopt;
}

}  // namespace odmr::receive
