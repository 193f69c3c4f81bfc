#include "show/metrics.hpp"

#include <fmt/format.h>

#include <array>
#include <map>

#include "show/exposition.hpp"

namespace odmr::show {

namespace {

using app::Status;
// What the journal has summed up, by provider; the configured ones have a 0 before anything was.
using Sums = std::map<std::string, std::uint64_t>;

Sums sums_by_provider(const Status& status, const std::string& of) {
  Sums sums;
  for (const auto& one : status.providers) sums[one.provider] = 0;
  for (const auto& total : status.totals) {
    if (total.of == of && !total.provider.empty()) sums[total.provider] += total.count;
  }
  return sums;
}

std::uint64_t sum_of_flushes(const Status& status, const std::string& of) {
  std::uint64_t sum = 0;
  for (const auto& total : status.totals) {
    if (total.of == of && total.provider.empty()) sum += total.count;
  }
  return sum;
}

struct Counter {
  const char* name;
  const char* of;
  const char* help;
};

void add_received(std::string& out, const Status& status) {
  constexpr std::array<Counter, 6> k_counters{{
      {"odmr_received_messages_total", "messages", "Messages taken for at least one recipient."},
      {"odmr_received_recipients_total", "recipients", "Recipients for whom messages were taken."},
      {"odmr_received_bytes_total", "bytes", "Bytes of the messages taken."},
      {"odmr_rejected_messages_total", "rejected", "Messages offered and refused."},
      {"odmr_deferred_messages_total", "deferred", "Messages put off; each time they are offered counts."},
      {"odmr_duplicate_messages_total", "duplicates", "Messages offered again and not delivered twice."},
  }};
  for (const auto& counter : k_counters) {
    Family family(out, counter.name, "counter", counter.help);
    for (const auto& [provider, sum] : sums_by_provider(status, counter.of)) family.add({{"provider", provider}}, sum);
  }
}

void add_sent(std::string& out, const Status& status) {
  constexpr std::array<Counter, 5> k_counters{{
      {"odmr_sent_messages_total", "messages", "Messages sent to at least one recipient."},
      {"odmr_sent_recipients_total", "recipients", "Recipients to whom messages were sent."},
      {"odmr_sent_bytes_total", "bytes", "Bytes of the messages sent."},
      {"odmr_sent_deferred_messages_total", "deferred", "Messages put off while sending; each time counts."},
      {"odmr_bounced_messages_total", "bounced", "Messages sent of which a recipient failed for good."},
  }};
  for (const auto& counter : k_counters) {
    Family(out, counter.name, "counter", counter.help).add({}, sum_of_flushes(status, counter.of));
  }
}

void add_sessions(std::string& out, const Status& status) {
  Family sessions(out, "odmr_sessions_total", "counter", "Sessions with a provider, by outcome.");
  for (const auto& total : status.totals) {
    if (total.of != "sessions" || total.provider.empty()) continue;
    sessions.add({{"provider", total.provider}, {"outcome", total.outcome}}, total.count);
  }
  Family flushes(out, "odmr_flushes_total", "counter", "Flushes of the outbound queue, by outcome.");
  for (const auto& total : status.totals) {
    if (total.of == "sessions" && total.provider.empty()) flushes.add({{"outcome", total.outcome}}, total.count);
  }
}

void add_last(std::string& out, const Status& status) {
  Family last(out, "odmr_last_session_timestamp_seconds", "gauge", "When the last session with the provider ended.");
  for (const auto& one : status.providers) {
    if (one.last && one.last->end) last.add({{"provider", one.provider}}, seconds_of(one.last->end->time));
  }
  Family good(out, "odmr_last_good_session_timestamp_seconds", "gauge",
              "When the last session with exit status 0 ended; 0: never.");
  for (const auto& one : status.providers) {
    good.add({{"provider", one.provider}}, one.last_good ? seconds_of(one.last_good->end->time) : 0);
  }
  Family exit(out, "odmr_last_session_exit_status", "gauge", "The exit status of the last session's outcome.");
  for (const auto& one : status.providers) {
    if (one.last && one.last->end) exit.add({{"provider", one.provider}}, exit_status(one.last->end->outcome));
  }
  const auto& flush = status.outbound.last;
  if (!flush) return;
  Family(out, "odmr_last_flush_timestamp_seconds", "gauge", "When the last flush of the outbound queue ended.")
      .add({}, seconds_of(flush->ended));
  Family(out, "odmr_last_flush_exit_status", "gauge", "The exit status of the last flush's outcome.")
      .add({}, exit_status(flush->outcome));
}

void add_waiting(std::string& out, const std::string& name, const std::string& what,
                 const std::optional<queue::Queue::Sums>& sums) {
  if (!sums) return;
  Family(out, "odmr_" + name + "_messages", "gauge", "Messages in " + what + ".").add({}, sums->messages);
  Family(out, "odmr_" + name + "_bytes", "gauge", "Bytes in " + what + ".").add({}, sums->bytes);
  Family(out, "odmr_" + name + "_held_messages", "gauge", "Messages on hold in " + what + ".").add({}, sums->held);
  Family(out, "odmr_" + name + "_undeliverable_messages", "gauge", "Messages of which nobody can be told.")
      .add({}, sums->undeliverable);
  Family(out, "odmr_" + name + "_damaged_messages", "gauge", "Messages that were set aside.").add({}, sums->set_aside);
  if (!sums->oldest) return;
  Family(out, "odmr_" + name + "_oldest_message_timestamp_seconds", "gauge", "When the oldest message came.")
      .add({}, seconds_of(*sums->oldest));
}

void add_certificates(std::string& out, const Status& status) {
  Family ends(out, "odmr_certificate_not_after_timestamp_seconds", "gauge",
              "When the certificate ends that the provider or the smart host showed last.");
  for (const auto& one : status.providers) {
    if (!one.is_configured || !one.last_certificate) continue;
    ends.add({{"server", "provider " + one.provider}}, seconds_of(*one.last_certificate->certificate_until));
  }
  const auto& flush = status.outbound.last_certificate;
  if (flush) ends.add({{"server", "smart host"}}, seconds_of(*flush->certificate_until));
}

}  // namespace

std::string metrics(const Status& status, const std::string& version) {
  std::string out;
  Family(out, "odmr_build_info", "gauge", "The version that wrote this.").add({{"version", version}}, 1);
  add_last(out, status);
  add_sessions(out, status);
  add_received(out, status);
  add_sent(out, status);
  add_waiting(out, "queue", "the outbound queue", status.waiting.outbound);
  add_waiting(out, "kept", "what is kept here for the local target", status.waiting.kept);
  add_certificates(out, status);
  Family(out, "odmr_troubles", "gauge", "Lines that odmr status prints under \"wrong now\".")
      .add({}, status.troubles.size());
  return out;
}

}  // namespace odmr::show
