#include "provider/waiting_mail.hpp"

#include <algorithm>

namespace odmr::provider {

void WaitingMail::put(const std::string& id, std::uint64_t octets, const std::vector<Place>& places) {
  forget(id);
  const auto entry = messages_.emplace(id, Message{octets, {}}).first;
  for (const auto& place : places) {
    DomainEntry& domain = *domains_.emplace(place.domain, Domain()).first;
    entry->second.waiting.push_back({place.recipient, &domain});
    if (domain.second.messages.insert(&entry->first).second) domain.second.octets += octets;
  }
}

void WaitingMail::leave(const MessageEntry& message, DomainEntry& domain) {
  if (domain.second.messages.erase(&message.first) == 0) return;
  domain.second.octets -= message.second.octets;
  if (domain.second.messages.empty()) domains_.erase(domains_.find(domain.first));
}

void WaitingMail::forget(const std::string& id) {
  const auto found = messages_.find(id);
  if (found == messages_.end()) return;
  std::set<DomainEntry*> domains;
  for (const auto& one : found->second.waiting) domains.insert(one.domain);
  for (DomainEntry* domain : domains) leave(*found, *domain);
  messages_.erase(found);
}

bool WaitingMail::agrees(const std::string& id, const std::vector<Place>& places) const {
  const auto found = messages_.find(id);
  if (found == messages_.end()) return false;
  return std::all_of(found->second.waiting.begin(), found->second.waiting.end(), [&places](const Waiting& one) {
    return std::any_of(places.begin(), places.end(), [&one](const Place& place) {
      return place.recipient == one.recipient && place.domain == one.domain->first;
    });
  });
}

bool WaitingMail::done(const std::string& id, const std::vector<std::size_t>& recipients) {
  const auto found = messages_.find(id);
  if (found == messages_.end()) return false;
  auto& waiting = found->second.waiting;
  for (const std::size_t recipient : recipients) {
    const auto one =
        std::find_if(waiting.begin(), waiting.end(), [&](const Waiting& each) { return each.recipient == recipient; });
    if (one == waiting.end()) continue;
    DomainEntry* const domain = one->domain;
    waiting.erase(one);
    const bool has_more =
        std::any_of(waiting.begin(), waiting.end(), [&](const Waiting& each) { return each.domain == domain; });
    if (!has_more) leave(*found, *domain);
  }
  return !waiting.empty();
}

std::vector<std::string> WaitingMail::ids() const {
  std::vector<std::string> ids;
  ids.reserve(messages_.size());
  for (const auto& [id, message] : messages_) ids.push_back(id);
  return ids;
}

bool WaitingMail::has_mail_for(const Domains& domains) const {
  return std::any_of(domains.begin(), domains.end(),
                     [this](const std::string& domain) { return domains_.contains(domain); });
}

std::optional<Due> WaitingMail::next_for(const Domains& domains, const std::string& after) const {
  const std::string* first = nullptr;
  for (const auto& name : domains) {
    const auto domain = domains_.find(name);
    if (domain == domains_.end()) continue;
    const auto next = domain->second.messages.upper_bound(&after);
    if (next != domain->second.messages.end() && (first == nullptr || **next < *first)) first = *next;
  }
  if (first == nullptr) return std::nullopt;
  Due due{*first, {}};
  for (const auto& one : messages_.at(*first).waiting) {
    if (domains.contains(one.domain->first)) due.recipients.push_back(one.recipient);
  }
  return due;
}

Sums WaitingMail::sums(const Domains& domains) const {
  Sums sums;
  for (const auto& name : domains) {
    const auto domain = domains_.find(name);
    if (domain == domains_.end()) continue;
    sums.messages += domain->second.messages.size();
    sums.octets += domain->second.octets;
  }
  return sums;
}

}  // namespace odmr::provider
