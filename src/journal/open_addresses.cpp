#include "journal/open_addresses.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace odmr::journal {

namespace {

// Two addresses that have the same one cost a question to the book, and no more.
std::size_t hash_of(const Address& address) {
  std::string both;
  both.reserve(address.reverse_path.size() + 1 + address.recipient.size());
  both.append(address.reverse_path).append(1, '\0').append(address.recipient);
  return std::hash<std::string>()(both);
}

}  // namespace

void OpenAddresses::View::add(const Address& address) {
  if (hashes_.size() >= k_most) is_everything_ = true;
  if (is_everything_) return;
  hashes_.push_back(hash_of(address));
  is_sorted_ = false;
}

bool OpenAddresses::View::may_have(const Address& address) {
  if (is_everything_) return true;
  if (hashes_.empty()) return false;
  if (!std::exchange(is_sorted_, true)) std::sort(hashes_.begin(), hashes_.end());
  return std::binary_search(hashes_.begin(), hashes_.end(), hash_of(address));
}

OpenAddresses::View* OpenAddresses::view(std::string_view provider, const std::string& connection) {
  const auto found = std::find_if(views_.begin(), views_.end(), [&](const View& one) {
    return one.connection_ == connection && one.provider_ == provider;
  });
  return found == views_.end() ? nullptr : &*found;
}

OpenAddresses::View& OpenAddresses::put(View view) {
  if (views_.size() == k_most_connections) views_.pop_front();
  return views_.emplace_back(std::move(view));
}

// A verdict names entries, and not their addresses. That one message is put off for some and taken by others is rare,
// and so are two connections to one provider at once: asking the book for each is good enough then.
void OpenAddresses::note(const Verdict& verdict) {
  if (verdict.had.empty()) return;
  const auto own = std::find_if(views_.begin(), views_.end(),
                                [&](const View& one) { return one.connection_ == verdict.connection; });
  for (auto& one : views_) {
    const bool is_own = one.connection_ == verdict.connection;
    const bool is_of_another_provider = own != views_.end() && one.provider_ != own->provider_;
    if (is_own ? verdict.answer == Answer::put_off : !is_of_another_provider) one.is_everything_ = true;
  }
}

}  // namespace odmr::journal
