#include "watch/schedule.hpp"

#include <algorithm>
#include <utility>

namespace odmr::watch {

namespace {

// What falls due so close together is done together.
constexpr Duration k_together = std::chrono::seconds(1);
// The first wait for a provider that was not reached, which doubles; so many of them.
constexpr Duration k_soon = std::chrono::seconds(30);
constexpr unsigned k_soon_tries = 3;
// After a line that was held and lost: mail comes over it, so it is soon missed.
constexpr Duration k_at_once = std::chrono::seconds(5);

// Asking again soon would do harm, or no good.
bool is_refusal(Outcome outcome) {
  switch (outcome) {
    case Outcome::protocol:
    case Outcome::tls:
    case Outcome::auth:
    case Outcome::refused:
    case Outcome::bug:
      return true;
    default:
      return false;
  }
}

// What may be over in a moment: a line that is just coming up, a target that is started again, a run by hand.
bool is_passing(Outcome outcome) {
  return outcome == Outcome::unavailable || outcome == Outcome::local_down || outcome == Outcome::locked;
}

Duration doubled(Duration wait, unsigned times, Duration longest) {
  for (unsigned i = 0; i < times && wait < longest; ++i) wait *= 2;
  return std::min(wait, longest);
}

}  // namespace

Schedule::Schedule(const Timing& timing, const std::vector<std::string>& providers, bool sends, TimePoint now)
    : timing_(timing) {
  for (const auto& provider : providers) {
    Entry entry;
    entry.provider = provider;
    providers_.push_back(std::move(entry));
  }
  if (sends) sending_.emplace(Entry());
  all_now(now);
}

void Schedule::all_now(TimePoint now) {
  const auto want = [now](Entry& entry) {
    entry.next = now;
    entry.is_to_be_held = false;
    entry.is_wanted_again = entry.is_under_way;
  };
  for (auto& entry : providers_) want(entry);
  if (sending_) want(*sending_);
}

void Schedule::submitted(TimePoint now) {
  if (sending_ && !submission_) submission_ = now + k_gather;
}

// A smart host that refuses us is not tried for every message that comes.
bool Schedule::is_held_back(const Entry& entry, TimePoint now) const {
  return entry.refusals > 0 && entry.next > now + k_together;
}

bool Schedule::has_to_send(TimePoint now) const {
  return sending_->next <= now + k_together || (submission_ && std::max(*submission_, may_send_again_) <= now);
}

TimePoint Schedule::next() const {
  TimePoint earliest = TimePoint::max();
  for (const auto& entry : providers_) earliest = std::min(earliest, entry.next);
  if (!sending_) return earliest;
  earliest = std::min(earliest, sending_->next);
  if (submission_ && sending_->refusals == 0) earliest = std::min(earliest, std::max(*submission_, may_send_again_));
  return earliest;
}

std::optional<Errand> Schedule::take(TimePoint now) {
  if (next() > now) return std::nullopt;
  Errand errand;
  bool is_occasion = sending_ && has_to_send(now);
  const auto begin = [](Entry& entry) {
    entry.is_under_way = true;
    entry.is_wanted_again = false;
    entry.is_to_be_held = false;
    entry.next = TimePoint::max();
  };
  for (auto& entry : providers_) {
    if (entry.next > now + k_together) continue;
    errand.providers.push_back(entry.provider);
    is_occasion = is_occasion || !entry.is_to_be_held;
    begin(entry);
  }
  // While the line is used, mail goes out too. Where it is only held, that would be again and again.
  if (sending_ && is_occasion && !is_held_back(*sending_, now)) {
    errand.sends = true;
    submission_.reset();
    last_sending_ = now;
    may_send_again_ = now + k_between_submissions;
    begin(*sending_);
  }
  return errand;
}

void Schedule::waits(TimePoint now, double random) {
  if (sending_ && sending_->is_under_way) judge(*sending_, Ending(), now, random);
}

void Schedule::nothing_to_send(TimePoint now) {
  if (!sending_ || sending_->is_under_way || last_sending_ + timing_.longest <= now) return;
  if (sending_->next <= now) sending_->next = now + timing_.interval;
}

void Schedule::ended(const std::vector<Ending>& endings, TimePoint now, double random) {
  bool has_mail = false;
  const auto end = [&](Entry& entry) {
    Ending ending{entry.provider, Outcome::no_mail, {}};
    for (const auto& one : endings) {
      if (one.provider == entry.provider && one.outcome >= ending.outcome) ending = one;
    }
    has_mail = has_mail || ending.outcome == Outcome::fetched || ending.outcome == Outcome::deferred;
    // A run that waited may have had something to send in the end.
    const bool has_sent_after_all = entry.provider.empty() && ending.outcome != Outcome::no_mail;
    if (entry.is_under_way || has_sent_after_all) judge(entry, ending, now, random);
  };
  for (auto& entry : providers_) end(entry);
  if (!sending_) return;
  const bool has_sent = sending_->is_under_way;
  const bool is_failing = sending_->refusals + sending_->failures > 0;
  // What the received mail left to send.
  if (has_mail && !has_sent && !is_failing) sending_->next = std::min(sending_->next, now);
  end(*sending_);
}

void Schedule::judge(Entry& entry, const Ending& ending, TimePoint now, double random) {
  entry.is_under_way = false;
  Duration wait = wait_after(entry, ending);
  if (!entry.is_wanted_again) entry.is_to_be_held = wait == Duration::zero();
  if (ending.not_before) wait = std::max(wait, *ending.not_before);
  // What was wanted meanwhile has its time already.
  if (!entry.is_wanted_again) entry.next = now + spread(wait, random);
  entry.is_wanted_again = false;
}

Duration Schedule::wait_after(Entry& entry, const Ending& ending) const {
  const Outcome outcome = ending.outcome;
  if (is_refusal(outcome)) {
    entry.failures = 0;
    ++entry.refusals;
    return doubled(timing_.interval, entry.refusals, timing_.longest);
  }
  if (outcome == Outcome::unavailable && ending.holds && !std::exchange(entry.has_lost_line, true))
    return std::min(k_at_once, timing_.interval);
  if (is_passing(outcome)) {
    // Whether it would refuse us still is not known.
    if (entry.failures == k_soon_tries) return timing_.interval;
    return doubled(k_soon, entry.failures++, timing_.interval);
  }
  entry.refusals = 0;
  entry.failures = 0;
  entry.has_lost_line = false;
  const bool is_well = outcome == Outcome::no_mail || outcome == Outcome::fetched;
  return is_well && ending.holds ? Duration::zero() : timing_.interval;
}

Duration Schedule::spread(Duration wait, double random) const {
  const double share = std::chrono::duration<double>(timing_.jitter) / std::chrono::duration<double>(timing_.interval);
  return wait + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(wait) * share * random);
}

}  // namespace odmr::watch
