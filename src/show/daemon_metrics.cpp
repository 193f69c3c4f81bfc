#include <array>

#include "show/daemon_text.hpp"
#include "show/exposition.hpp"

namespace odmr::show {

namespace {

using app::DaemonStatus;

struct Counter {
  const char* name;
  const char* of;
  const char* help;
};

std::uint64_t total(const DaemonStatus& status, const std::string& customer, const std::string& of) {
  for (const auto& one : status.totals) {
    if (one.customer == customer && one.of == of) return one.count;
  }
  return 0;
}

void add_held(std::string& out, const DaemonStatus& status) {
  Family messages(out, "odmrd_held_messages", "gauge", "Messages that are held for the customer.");
  for (const auto& one : status.customers) messages.add({{"customer", one.name}}, one.held.messages);
  Family bytes(out, "odmrd_held_bytes", "gauge", "Bytes that are held for the customer.");
  for (const auto& one : status.customers) bytes.add({{"customer", one.name}}, one.held.bytes);
  Family quota(out, "odmrd_quota_bytes", "gauge", "How much may be held for the customer.");
  for (const auto& one : status.customers) {
    if (one.quota > 0) quota.add({{"customer", one.name}}, one.quota);
  }
  Family oldest(out, "odmrd_held_oldest_message_timestamp_seconds", "gauge", "When the oldest held message came.");
  for (const auto& one : status.customers) {
    if (one.held.oldest) oldest.add({{"customer", one.name}}, seconds_of(*one.held.oldest));
  }
}

void add_last(std::string& out, const DaemonStatus& status) {
  Family last(out, "odmrd_last_call_timestamp_seconds", "gauge", "When the customer's last call ended.");
  for (const auto& one : status.customers) {
    if (one.last) last.add({{"customer", one.name}}, seconds_of(one.last->ended));
  }
  Family good(out, "odmrd_last_good_call_timestamp_seconds", "gauge",
              "When the customer's last good call ended; 0: never.");
  for (const auto& one : status.customers)
    good.add({{"customer", one.name}}, one.last_good ? seconds_of(*one.last_good) : 0);
  Family lines(out, "odmrd_lines", "gauge", "Connections on which the customer is logged in.");
  for (const auto& one : status.customers) lines.add({{"customer", one.name}}, one.lines);
  Family waiting(out, "odmrd_waiting_lines", "gauge", "Of these, how many wait for mail.");
  for (const auto& one : status.customers) waiting.add({{"customer", one.name}}, one.waiting);
}

void add_counters(std::string& out, const DaemonStatus& status) {
  constexpr std::array<Counter, 7> k_counters{{
      {"odmrd_calls_total", "calls", "Calls of the customer."},
      {"odmrd_good_calls_total", "good", "Calls that ended with all mail handed over, or with none there."},
      {"odmrd_sent_messages_total", "messages", "Messages that the customer took for at least one recipient."},
      {"odmrd_sent_recipients_total", "recipients", "Recipients for whom it took messages."},
      {"odmrd_sent_bytes_total", "bytes", "Bytes of the messages that it took."},
      {"odmrd_deferred_recipients_total", "put_off", "Recipients that it put off; each time counts."},
      {"odmrd_refused_recipients_total", "refused", "Recipients that it refused for good."},
  }};
  for (const auto& counter : k_counters) {
    Family family(out, counter.name, "counter", counter.help);
    for (const auto& one : status.customers) family.add({{"customer", one.name}}, total(status, one.name, counter.of));
  }
  Family(out, "odmrd_refused_logins_total", "counter", "Logins that were refused.")
      .add({}, total(status, "", "refused_logins"));
}

}  // namespace

std::string metrics(const DaemonStatus& status, const std::string& version) {
  std::string out;
  Family(out, "odmrd_build_info", "gauge", "The version that wrote this.").add({{"version", version}}, 1);
  add_held(out, status);
  add_last(out, status);
  add_counters(out, status);
  Family(out, "odmrd_bounces_messages", "gauge", "Messages refused for good whose senders have to be told.")
      .add({}, status.bounces);
  Family(out, "odmrd_failed_messages", "gauge", "Messages refused for good of which nobody can be told.")
      .add({}, status.failed);
  if (status.free_space) {
    Family(out, "odmrd_spool_free_bytes", "gauge", "Bytes that may still be written where the spool is.")
        .add({}, *status.free_space);
  }
  Family certificates(out, "odmrd_certificate_not_after_timestamp_seconds", "gauge",
                      "When the certificate of the listener ends.");
  for (const auto& one : status.certificates) certificates.add({{"listen", one.listener}}, seconds_of(one.until));
  Family(out, "odmrd_troubles", "gauge", "Lines that odmrd status prints under \"wrong now\".")
      .add({}, status.troubles.size());
  return out;
}

}  // namespace odmr::show
