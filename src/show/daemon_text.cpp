#include "show/daemon_text.hpp"

#include <fmt/format.h>

#include "base/ascii.hpp"
#include "show/receipt_text.hpp"
#include "show/render.hpp"
#include "show/status_text.hpp"

namespace odmr::show {

namespace {

using app::CustomerStatus;
using app::DaemonStatus;
using provider::Call;

constexpr std::size_t k_long = 2000;

std::string what_is_held(const CustomerStatus& status, WallTime now) {
  if (status.held.messages == 0) return "nothing is held";
  std::string out =
      fmt::format("{} held ({})", counted(status.held.messages, "message"), human_size(status.held.bytes));
  if (status.quota > 0) out += fmt::format(", {} % of its quota", status.held.bytes * 100 / status.quota);
  if (status.held.oldest) out += ", the oldest came " + ago(*status.held.oldest, now);
  return out;
}

void add_customer(std::vector<std::string>& lines, const CustomerStatus& status, WallTime now) {
  lines.push_back(fmt::format("{}: {}", escape(status.name), what_is_held(status, now)));
  if (status.lines > 0) {
    lines.push_back(status.waiting > 0 ? "  on the line, and waits for mail" : "  on the line");
  }
  if (status.recipients) {
    lines.push_back(fmt::format("  its list of {} came {}", counted(status.recipients->count, "recipient"),
                                ago(status.recipients->uploaded, now)));
  }
  if (!status.last) {
    if (status.lines == 0) lines.emplace_back("  no call yet");
    return;
  }
  lines.push_back(fmt::format("  last call {}, from {}: {}", ago(status.last->ended, now), escape(status.last->address),
                              in_words(*status.last)));
  if (status.last->is_good) return;
  lines.push_back(status.last_good ? "  the last good one ended " + ago(*status.last_good, now)
                                   : std::string("  no good call is known"));
}

void add_days(std::vector<std::string>& lines, const DaemonStatus& status, bool utf8) {
  std::vector<journal::Day> days;
  std::uint64_t messages = 0;
  for (const auto& day : status.days) {
    if (day.ago >= app::k_days_looked_back) continue;
    days.push_back({day.ago, day.messages, day.bytes});
    messages += day.messages;
  }
  if (messages == 0) return;
  lines.emplace_back();
  lines.push_back(fmt::format("handed over in {} days: {}", app::k_days_looked_back, counted(messages, "message")));
  lines.push_back("  " + chart(days, utf8));
}

void add_refused(std::vector<std::string>& lines, const DaemonStatus& status) {
  if (status.refused.empty()) return;
  lines.emplace_back();
  lines.emplace_back("refused logins of the last 24 hours:");
  for (const auto& one : status.refused) {
    lines.push_back(fmt::format("  {}: {}, the last {}", escape(one.address), counted(one.count, "login"),
                                ago(one.last, status.now)));
  }
}

ordered_json as_json(const Call& call) {
  return {{"customer", escape(call.customer)}, {"address", escape(call.address)}, {"began", time_text(call.began)}};
}

ordered_json whole_json(const Call& call) {
  auto out = as_json(call);
  out["ended"] = time_text(call.ended);
  out["good"] = call.is_good;
  out["reply"] = text_or_null(call.reply);
  out["end"] = text_or_null(call.end);
  out["messages"] = call.messages;
  out["recipients"] = call.recipients;
  out["bytes"] = call.bytes;
  out["put_off"] = call.put_off;
  out["refused"] = call.refused;
  return out;
}

}  // namespace

std::string in_words(const Call& call) {
  if (call.end.empty()) return call.reply.empty() ? "nothing was asked for" : escape(call.reply, k_long);
  std::string out = call.messages == 0 ? "no message was taken"
                                       : fmt::format("{} for {} ({})", counted(call.messages, "message"),
                                                     counted(call.recipients, "recipient"), human_size(call.bytes));
  if (call.put_off > 0) out += fmt::format(", {} put off", call.put_off);
  if (call.refused > 0) out += fmt::format(", {} refused", call.refused);
  return call.is_good ? out : out + "; " + escape(call.end, k_long);
}

std::vector<std::string> in_words(const DaemonStatus& status, bool utf8) {
  std::vector<std::string> lines;
  for (const auto& one : status.customers) add_customer(lines, one, status.now);
  if (status.customers.empty()) lines.emplace_back("there is no customer");
  add_days(lines, status, utf8);
  add_refused(lines, status);
  if (status.troubles.empty()) return lines;
  lines.emplace_back();
  lines.emplace_back("wrong now:");
  for (const auto& trouble : status.troubles) {
    lines.push_back("  " + escape(trouble.with) + ": " + escape(trouble.text, k_long));
    if (!trouble.remedy.empty()) lines.push_back("    What to do: " + escape(trouble.remedy, k_long));
  }
  return lines;
}

ordered_json recipients_json(const std::optional<app::RecipientsTold>& told) {
  if (!told) return nullptr;
  return {{"count", told->count}, {"uploaded", time_text(told->uploaded)}};
}

ordered_json as_json(const CustomerStatus& status) {
  return {{"customer", escape(status.name)},
          {"domains", status.domains},
          {"held",
           {{"messages", status.held.messages},
            {"bytes", status.held.bytes},
            {"oldest", time_or_null(status.held.oldest)}}},
          {"quota", status.quota == 0 ? ordered_json(nullptr) : ordered_json(status.quota)},
          {"recipients", recipients_json(status.recipients)},
          {"lines", status.lines},
          {"waiting", status.waiting},
          {"last_call", status.last ? whole_json(*status.last) : ordered_json(nullptr)},
          {"last_good", time_or_null(status.last_good)}};
}

ordered_json overall_json(const DaemonStatus& status) {
  ordered_json under_way = ordered_json::array();
  for (const auto& call : status.under_way) {
    under_way.push_back(as_json(call));
    under_way.back()["waits"] = call.is_waiting;
  }
  ordered_json refused = ordered_json::array();
  for (const auto& one : status.refused) {
    refused.push_back({{"address", escape(one.address)},
                       {"count", one.count},
                       {"first", time_text(one.first)},
                       {"last", time_text(one.last)}});
  }
  ordered_json days = ordered_json::array();
  for (const auto& day : status.days)
    days.push_back({{"ago", day.ago}, {"calls", day.calls}, {"messages", day.messages}, {"bytes", day.bytes}});
  ordered_json certificates = ordered_json::array();
  for (const auto& one : status.certificates)
    certificates.push_back({{"listen", escape(one.listener)}, {"until", time_text(one.until)}});
  ordered_json troubles = ordered_json::array();
  for (const auto& one : status.troubles) {
    troubles.push_back(
        {{"with", escape(one.with)}, {"text", escape(one.text, k_long)}, {"remedy", text_or_null(one.remedy)}});
  }
  return {{"customer", nullptr},
          {"runs", status.runs},
          {"under_way", under_way},
          {"days", days},
          {"refused_logins", refused},
          {"certificates", certificates},
          {"bounces", status.bounces},
          {"failed", status.failed},
          {"free", status.free_space ? ordered_json(*status.free_space) : ordered_json(nullptr)},
          {"troubles", troubles}};
}

}  // namespace odmr::show
