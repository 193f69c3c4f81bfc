#include "provider/kept_line.hpp"

#include <algorithm>
#include <utility>

namespace odmr::provider {

namespace {

using net::Task;

constexpr Duration k_between_noops = std::chrono::seconds(45);
constexpr Duration k_fresh = std::chrono::seconds(5);       // a word of the customer's
constexpr Duration k_patience = std::chrono::minutes(1);    // for the reply to NOOP
constexpr Duration k_ask_again = std::chrono::seconds(15);  // whether another session has let go

KeptEnough broken(const std::string& why) {
  return {"while the line was kept: " + why, true};
}

KeptEnough no_more(const smtp::Reply& reply) {
  return {"the customer has had enough: " + reply.joined(), reply.code == 421};
}

}  // namespace

KeptLine::KeptLine(std::shared_ptr<const Customer> customer, Domains domains, Duration keep, Provider& provider,
                   Calls::Line& line, Log& log, Stop& stop)
    : customer_(std::move(customer)),
      domains_(std::move(domains)),
      keep_(keep),
      provider_(provider),
      line_(line),
      log_(log),
      stop_(stop) {}

Task<KeptLine::Grant> KeptLine::wait(client::Session& session) {
  using Over = tl::unexpected<KeptEnough>;
  const Calls::Line::Wait waiting(line_);
  const auto watcher = provider_.held.watch(domains_, [this, &session] {
    if (is_asleep_) session.stream().interrupt();
  });
  Clock& clock = session.stream().clock();
  if (!until_) until_ = clock.now() + keep_;
  log_.debug("the line is kept", {{"customer", customer_->name}});
  heard_ = TimePoint::min();
  for (;;) {
    const TimePoint now = clock.now();
    if (const auto why = reason_to_quit(now)) co_return Over(*why);
    const bool is_for_us = is_mail_for_us();
    const Duration silence = is_for_us ? k_fresh : k_between_noops;
    if (heard_ == TimePoint::min() || now - heard_ >= silence) {
      const auto over = co_await ask_whether_there(session);
      if (over) co_return Over(*over);
      heard_ = clock.now();
      continue;
    }
    if (is_for_us) {
      Right right{*provider_.held.claim(domains_), provider_.visits.begin(*customer_)};
      co_return right;
    }
    // Nobody tells when another session lets go of what it was being handed.
    const bool is_kept_back = provider_.held.has_mail_for(domains_);
    TimePoint until = std::min(*until_, heard_ + k_between_noops);
    if (is_kept_back) until = std::min(until, now + k_ask_again);
    const auto over = co_await sleep(session, until);
    if (over) co_return Over(*over);
  }
}

bool KeptLine::is_mail_for_us() const {
  return provider_.held.has_mail_for(domains_) && !provider_.visits.is_busy(*customer_) &&
         provider_.held.claim(domains_).has_value();
}

std::optional<KeptEnough> KeptLine::reason_to_quit(TimePoint now) const {
  if (stop_.requested()) return KeptEnough{"stopped by a signal"};
  // Another configuration has other customers.
  const auto& now_valid = provider_.customers;
  if (now_valid.owner_before(customer_) || customer_.owner_before(now_valid))
    return KeptEnough{"the configuration was read again"};
  if (now >= *until_) return KeptEnough{"all sent"};
  return std::nullopt;
}

Task<std::optional<KeptEnough>> KeptLine::ask_whether_there(client::Session& session) {
  const auto reply = co_await session.ask("NOOP\r\n", k_patience);
  if (!reply && reply.error().code == Errc::interrupted) co_return KeptEnough{"stopped by a signal"};
  if (!reply) co_return broken(reply.error().text);
  if (!reply->is_positive()) co_return no_more(*reply);
  co_return std::nullopt;
}

// All that may come by itself is 421 (RFC 5321 3.8), or the line's end.
Task<std::optional<KeptEnough>> KeptLine::sleep(client::Session& session, TimePoint until) {
  is_asleep_ = true;
  const auto filled = co_await session.stream().fill(until);
  is_asleep_ = false;
  if (!filled && (filled.error().code == Errc::interrupted || filled.error().code == Errc::timed_out))
    co_return std::nullopt;
  if (!filled) co_return broken(filled.error().text);
  const auto unasked = co_await session.unasked_reply();
  if (!unasked) co_return broken(unasked.error().text);
  if (*unasked && (*unasked)->code == 421) co_return no_more(**unasked);
  co_return broken("something came that nobody had asked for");
}

}  // namespace odmr::provider
