#include "show/status_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ascii.hpp"
#include "show/receipt_text.hpp"
#include "show/render.hpp"

namespace odmr::show {

namespace {

using app::ProviderStatus;
using app::Status;
using journal::Day;

constexpr std::size_t k_long = 2000;
constexpr std::array<std::uint64_t, 3> k_spans{1, 7, app::k_days_looked_back};

bool is_good(const journal::SessionReceipt& session) {
  return session.end && exit_status(session.end->outcome) == 0;
}

void add_provider(std::vector<std::string>& lines, const ProviderStatus& status, WallTime now) {
  const std::string who = escape(status.provider) + (status.is_configured ? "" : " (no longer configured)");
  if (!status.last) {
    lines.push_back(who + ": no session yet");
    return;
  }
  const auto& last = *status.last;
  const WallTime when = last.end ? last.end->time : last.started;
  lines.push_back(fmt::format("{}: {}", who, in_words(last)));
  lines.push_back(fmt::format("  {}, {}", local_time_text(when), ago(when, now)));
  lines.push_back(fmt::format("  session {}; {} kept", escape(last.id), counted(status.sessions, "session")));
  if (is_good(last)) return;
  if (!status.last_good) {
    lines.emplace_back("  no good session is known");
    return;
  }
  const auto& good = *status.last_good;
  lines.push_back("  the last good one:");
  lines.push_back(fmt::format("  {}, {}", local_time_text(good.end->time), ago(good.end->time, now)));
  lines.push_back("  session " + escape(good.id));
}

// Of all providers, day by day.
std::vector<Day> received_by_all(const Status& status) {
  std::array<Day, app::k_days_looked_back> days{};
  for (const auto& one : status.providers) {
    for (const auto& day : one.received) {
      if (day.ago >= days.size()) continue;
      days.at(day.ago).messages += day.messages;
      days.at(day.ago).bytes += day.bytes;
    }
  }
  std::vector<Day> all;
  for (std::uint64_t ago = 0; ago < days.size(); ++ago) all.push_back({ago, days.at(ago).messages, days.at(ago).bytes});
  return all;
}

std::string row_of(const char* name, const std::vector<Day>& days) {
  std::string row = fmt::format("{:<10}", name);
  for (const auto span : k_spans) row += fmt::format("{:>9}", app::sum_of(days, span).messages);
  return row;
}

void add_mail(std::vector<std::string>& lines, const Status& status, bool utf8) {
  const auto received = received_by_all(status);
  const auto month = app::sum_of(received, app::k_days_looked_back).messages +
                     app::sum_of(status.outbound.sent, app::k_days_looked_back).messages;
  if (month == 0) return;
  lines.emplace_back();
  lines.push_back(fmt::format("{:<10}{:>9}{:>9}{:>9}", "messages", "day", "week", "30 days"));
  lines.push_back(row_of("received", received));
  lines.push_back("  " + chart(received, utf8));
  lines.push_back(row_of("sent", status.outbound.sent));
  lines.push_back("  " + chart(status.outbound.sent, utf8));
}

void add_sums(std::vector<std::string>& lines, const char* name, const std::optional<queue::Queue::Sums>& sums,
              WallTime now) {
  if (!sums || sums->messages == 0) return;
  std::string line = fmt::format("{}: {} ({})", name, counted(sums->messages, "message"), human_size(sums->bytes));
  if (sums->held > 0) line += fmt::format(", {} on hold", sums->held);
  lines.push_back(line);
  if (sums->oldest) lines.push_back("  the oldest came " + ago(*sums->oldest, now));
}

void add_waiting(std::vector<std::string>& lines, const Status& status, WallTime now) {
  const auto begin = lines.size();
  add_sums(lines, "outbound queue", status.waiting.outbound, now);
  add_sums(lines, "kept here for the local target", status.waiting.kept, now);
  if (lines.size() > begin) lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(begin), std::string());
}

void add_troubles(std::vector<std::string>& lines, const Status& status) {
  if (status.troubles.empty()) return;
  lines.emplace_back();
  lines.emplace_back("wrong now:");
  for (const auto& trouble : status.troubles) {
    lines.push_back("  " + escape(trouble.with) + ": " + escape(trouble.text, k_long));
    if (!trouble.remedy.empty()) lines.push_back("    What to do: " + escape(trouble.remedy, k_long));
  }
}

ordered_json spans_of(const std::vector<Day>& days) {
  ordered_json out;
  for (const auto& [name, span] :
       {std::pair("day", k_spans[0]), std::pair("week", k_spans[1]), std::pair("month", k_spans[2])}) {
    const auto sum = app::sum_of(days, span);
    out[name] = {{"messages", sum.messages}, {"bytes", sum.bytes}};
  }
  return out;
}

ordered_json as_json(const std::optional<queue::Queue::Sums>& sums) {
  if (!sums) return nullptr;
  return {{"messages", sums->messages},   {"bytes", sums->bytes},
          {"held", sums->held},           {"undeliverable", sums->undeliverable},
          {"set_aside", sums->set_aside}, {"oldest", time_or_null(sums->oldest)}};
}

ordered_json as_json(const std::optional<journal::FlushReceipt>& flush) {
  if (!flush) return nullptr;
  return {{"session", escape(flush->id)},
          {"outcome", name(flush->outcome)},
          {"exit", exit_status(flush->outcome)},
          {"started", time_text(flush->started)},
          {"ended", time_text(flush->ended)},
          {"text", text_or_null(flush->text)},
          {"sent",
           {{"messages", flush->messages},
            {"recipients", flush->recipients},
            {"bytes", flush->bytes},
            {"deferred", flush->deferred},
            {"bounced", flush->bounced}}}};
}

}  // namespace

std::string ago(WallTime then, WallTime now) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - then).count();
  if (seconds < 0) return "in the future, by this clock";
  if (seconds < 120) return fmt::format("{} s ago", seconds);
  if (seconds < 7200) return fmt::format("{} min ago", seconds / 60);
  if (seconds < 172800) return fmt::format("{} h ago", seconds / 3600);
  return fmt::format("{} days ago", seconds / 86400);
}

std::vector<std::string> in_words(const Status& status, WallTime now, bool utf8) {
  std::vector<std::string> lines;
  for (const auto& one : status.providers) add_provider(lines, one, now);
  add_mail(lines, status, utf8);
  add_waiting(lines, status, now);
  add_troubles(lines, status);
  return lines;
}

std::string chart(const std::vector<Day>& days, bool utf8) {
  static constexpr std::array<const char*, 8> k_blocks{"\u2581", "\u2582", "\u2583", "\u2584",
                                                       "\u2585", "\u2586", "\u2587", "\u2588"};
  static constexpr std::array<const char*, 9> k_digits{"1", "2", "3", "4", "5", "6", "7", "8", "9"};
  std::array<std::uint64_t, app::k_days_looked_back> columns{};
  std::uint64_t most = 0;
  for (const auto& day : days) {
    if (day.ago >= columns.size()) continue;
    columns.at(columns.size() - 1 - day.ago) = day.messages;
    most = std::max(most, day.messages);
  }
  const std::size_t steps = utf8 ? k_blocks.size() : k_digits.size();
  std::string out;
  for (const auto messages : columns) {
    if (messages == 0) {
      out += '.';
      continue;
    }
    const auto share = static_cast<double>(messages) / static_cast<double>(most);
    const auto step = std::min(static_cast<std::size_t>(share * static_cast<double>(steps)), steps - 1);
    out += utf8 ? k_blocks.at(step) : k_digits.at(step);
  }
  return out;
}

// --- JSON

ordered_json as_json(const ProviderStatus& status) {
  ordered_json out =
      status.last ? as_json(*status.last) : ordered_json{{"session", nullptr}, {"provider", escape(status.provider)},
                                                         {"outcome", nullptr}, {"exit", nullptr},
                                                         {"started", nullptr}, {"ended", nullptr},
                                                         {"text", nullptr},    {"received", nullptr}};
  out["configured"] = status.is_configured;
  out["last_good"] = status.last_good ? ordered_json(time_text(status.last_good->end->time)) : ordered_json(nullptr);
  out["sessions"] = status.sessions;
  out["last"] = spans_of(status.received);
  out["certificate_until"] =
      time_or_null(status.last_certificate ? status.last_certificate->certificate_until : std::nullopt);
  return out;
}

ordered_json overall_json(const Status& status) {
  ordered_json troubles = ordered_json::array();
  for (const auto& one : status.troubles) {
    troubles.push_back(
        {{"with", escape(one.with)}, {"text", escape(one.text, k_long)}, {"remedy", text_or_null(one.remedy)}});
  }
  const auto& certificate = status.outbound.last_certificate;
  return {{"provider", nullptr},
          {"outbound", as_json(status.outbound.last)},
          {"last", spans_of(status.outbound.sent)},
          {"certificate_until", time_or_null(certificate ? certificate->certificate_until : std::nullopt)},
          {"queue", as_json(status.waiting.outbound)},
          {"kept", as_json(status.waiting.kept)},
          {"troubles", troubles}};
}

}  // namespace odmr::show
