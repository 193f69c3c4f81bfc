#include "provider/held_mail.hpp"

#include <set>

namespace odmr::provider {

HeldMail::Watcher::Watcher(HeldMail& mail, const Domains& domains, std::function<void()> told)
    : mail_(mail), told_(std::move(told)) {
  places_.reserve(domains.size());
  for (const auto& domain : domains) places_.push_back(mail_.watchers_.emplace(domain, this));
}

HeldMail::Watcher::~Watcher() {
  for (const auto& place : places_) mail_.watchers_.erase(place);
}

std::unique_ptr<HeldMail::Watcher> HeldMail::watch(const Domains& domains, std::function<void()> told) {
  return std::unique_ptr<Watcher>(new Watcher(*this, domains, std::move(told)));
}

void HeldMail::has_come(const std::string& id, std::uint64_t octets, const std::vector<WaitingMail::Place>& places) {
  waiting_.put(id, octets, places);
  std::set<Watcher*> told;
  for (const auto& place : places) {
    const auto [begin, end] = watchers_.equal_range(place.domain);
    for (auto one = begin; one != end; ++one) told.insert(one->second);
  }
  for (Watcher* const one : told) one->told_();
}

HeldMail::Claim::~Claim() {
  if (!busy_) return;
  for (const auto& domain : mine_) busy_->erase(domain);
}

std::optional<HeldMail::Claim> HeldMail::claim(const Domains& domains) {
  for (const auto& domain : domains) {
    if (busy_->contains(domain)) return std::nullopt;
  }
  busy_->insert(domains.begin(), domains.end());
  return Claim(busy_, domains);
}

}  // namespace odmr::provider
