#include "receive/tally.hpp"

namespace odmr::receive {

namespace {

// Beyond that a refusal counts as one that was heard before: the provider is asked once less, and nothing grows.
constexpr std::size_t k_most_remembered = 10000;

}  // namespace

Tally& Tally::operator+=(const Tally& more) {
  messages += more.messages;
  recipients += more.recipients;
  bytes += more.bytes;
  rejected += more.rejected;
  deferred += more.deferred;
  duplicates += more.duplicates;
  return *this;
}

void Counter::taken(std::uint64_t recipients, std::uint64_t bytes, bool put_off) {
  history_.breaker.taken();
  ++tally_.messages;
  tally_.recipients += recipients;
  tally_.bytes += bytes;
  has_put_off_ = has_put_off_ || put_off;
  if (!put_off) ++final_answers_;
}

void Counter::duplicate() {
  ++tally_.duplicates;
  ++final_answers_;
}

void Counter::kept() {
  ++tally_.deferred;
  has_put_off_ = has_kept_ = true;
  ++final_answers_;
}

void Counter::put_off_with(const smtp::Reply& reply) {
  if (first_put_off_.empty()) first_put_off_ = reply.joined();
}

void Counter::refused(const smtp::Reply& reply, const std::string& fingerprint) {
  if (reply.is_transient()) {
    ++tally_.deferred;
    put_off_recipient(reply);
    return;
  }
  ++tally_.rejected;
  if (history_.refused.size() >= k_most_remembered) return;
  const bool is_new = history_.refused.insert(fingerprint).second;
  if (is_new) ++final_answers_;
}

}  // namespace odmr::receive
