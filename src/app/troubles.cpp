#include <fmt/format.h>

#include "app/probe_place.hpp"
#include "app/remedy.hpp"
#include "app/status.hpp"

namespace odmr::app {

namespace {

using std::chrono::hours;

// Who renews in time has done it by then. A pin holds for a key, and a new certificate often comes with another.
constexpr auto k_certificate_ends_soon = hours(14 * 24);
constexpr auto k_pinned_ends_soon = hours(30 * 24);
constexpr auto k_waits_long = hours(24);

using Troubles = std::vector<Trouble>;

void look_at_configuration(const QueuePlace& place, Troubles& troubles) {
  if (place.faults.empty()) return;
  Trouble trouble{"configuration", place.faults.front(), "no run begins before that is mended; odmr check tells all"};
  if (place.faults.size() > 1) trouble.text += fmt::format(" (and {} more)", place.faults.size() - 1);
  troubles.push_back(std::move(trouble));
}

// With whom the session came to nothing. Of a port that is not known nothing is said.
Scene scene_of(Outcome outcome, const std::string& provider, const QueuePlace& place) {
  const auto found = place.places.find(provider);
  const auto known = found == place.places.end() ? ProviderPlace() : found->second;
  if (outcome == Outcome::local_down) return {With::target, known.deliver_table, 0};
  Scene scene{With::provider, "[provider." + provider + "]", known.port == 0 ? k_odmr_port : known.port};
  scene.state_dir = place.state_dir;
  return scene;
}

void look_at_session(const ProviderStatus& status, const QueuePlace& place, Troubles& troubles) {
  if (!status.last || !status.last->end || exit_status(status.last->end->outcome) == 0) return;
  const auto& end = *status.last->end;
  troubles.push_back({status.provider, std::string(name(end.outcome)) + ": " + end.text,
                      remedy(end.outcome, end.cause, scene_of(end.outcome, status.provider, place), end.text)});
}

// The age of what is good is what others watch: it must not stay good because a clock was wrong.
void look_at_clock(const ProviderStatus& status, WallTime now, Troubles& troubles) {
  if (!is_from_the_future(status, now)) return;
  troubles.push_back({status.provider,
                      "by this clock the last good session ended in the future: it was ahead then, or is behind now",
                      "look whether the time is right (timedatectl); where it is, the next good session mends this"});
}

void look_at_flush(const OutboundStatus& outbound, Troubles& troubles) {
  if (!outbound.last || exit_status(outbound.last->outcome) == 0) return;
  const auto& last = *outbound.last;
  const Scene scene = last.server.empty() ? Scene{With::provider, "[provider.NAME]", k_odmr_port}
                                          : Scene{With::smart_host, "[outbound]", 0};
  const std::string text = last.text.empty() ? "some mail was put off" : last.text;
  troubles.push_back(
      {"outbound", std::string(name(last.outcome)) + ": " + text, remedy(last.outcome, last.cause, scene, last.text)});
}

void look_at_certificate(const std::string& with, const std::string& server, WallTime until, bool is_pinned,
                         WallTime now, Troubles& troubles) {
  const auto left = until - now;
  if (left > (is_pinned ? k_pinned_ends_soon : k_certificate_ends_soon)) return;
  const auto days = std::chrono::duration_cast<hours>(left).count() / 24;
  const std::string what = "the certificate of " + server;
  Trouble trouble{with, what + fmt::format(" ends in {} days", days), {}};
  if (days == 1) trouble.text = what + " ends in 1 day";
  if (left < WallTime::duration::zero()) trouble.text = what + " has ended";
  trouble.remedy = is_pinned ? "ask whether the next one keeps its key; if not, take its pin from odmr probe, and set "
                               "both in the configuration until the change is over"
                             : "tell who runs it; from that day on no session will come about";
  troubles.push_back(std::move(trouble));
}

void look_at_certificates(const Status& status, WallTime now, Troubles& troubles) {
  for (const auto& one : status.providers) {
    if (!one.is_configured || !one.last_certificate) continue;
    const auto& connection = *one.last_certificate;
    const bool is_pinned = connection.verified.find("pin") != std::string::npos;
    look_at_certificate(one.provider, connection.address, *connection.certificate_until, is_pinned, now, troubles);
  }
  const auto& flush = status.outbound.last_certificate;
  if (flush) look_at_certificate("outbound", flush->server, *flush->certificate_until, false, now, troubles);
}

std::string messages(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " message" : " messages");
}

void look_at_sums(const queue::Queue::Sums& sums, bool is_kept, WallTime now, Troubles& troubles) {
  const std::string which = is_kept ? "kept" : "queue";
  const std::string list = is_kept ? "odmr queue --kept" : "odmr queue";
  if (sums.oldest && now - *sums.oldest > k_waits_long) {
    const auto waited = std::chrono::duration_cast<hours>(now - *sums.oldest).count();
    troubles.push_back({which, fmt::format("the oldest of {} has waited for {} hours", messages(sums.messages), waited),
                        list + " says why"});
  }
  if (sums.undeliverable > 0) {
    troubles.push_back({which, messages(sums.undeliverable) + " cannot be delivered, and nobody can be told",
                        list + " lists them; retry or remove them"});
  }
  if (sums.set_aside > 0) {
    troubles.push_back({which, messages(sums.set_aside) + " damaged, and set aside in corrupt/",
                        "look at them, and at the disk; then delete the files"});
  }
}

void look_at_waiting(const WaitingMail& waiting, WallTime now, Troubles& troubles) {
  for (const auto& why : waiting.unreadable) troubles.push_back({"queue", why, {}});
  if (waiting.outbound) look_at_sums(*waiting.outbound, false, now, troubles);
  if (waiting.kept) look_at_sums(*waiting.kept, true, now, troubles);
}

void look_at_space(const QueuePlace& place, Troubles& troubles) {
  const auto free = free_space(place.state_dir);
  if (!free || *free >= k_little_space) return;
  troubles.push_back({"state", fmt::format("{} MiB are free in {}", *free >> 20, place.state_dir),
                      "make room: without it no mail can be taken"});
}

}  // namespace

Troubles troubles_of(const Status& status, const QueuePlace& place, WallTime now) {
  Troubles troubles;
  look_at_configuration(place, troubles);
  for (const auto& one : status.providers) {
    if (!one.is_configured) continue;
    look_at_session(one, place, troubles);
    look_at_clock(one, now, troubles);
  }
  look_at_flush(status.outbound, troubles);
  look_at_waiting(status.waiting, now, troubles);
  look_at_space(place, troubles);
  look_at_certificates(status, now, troubles);
  return troubles;
}

}  // namespace odmr::app
