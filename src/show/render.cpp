#include "show/render.hpp"

#include <fmt/format.h>

#include <array>

#include "base/ascii.hpp"
#include "show/json.hpp"

namespace odmr::show {

namespace {

constexpr std::size_t k_long = 2000;

ordered_json or_null(const std::optional<std::string>& text) {
  return text ? ordered_json(escape(*text)) : ordered_json(nullptr);
}

std::string what_came(const app::SessionReport& report) {
  const auto& tally = report.received;
  std::string out;
  const auto add = [&out](const std::string& part) { out += (out.empty() ? "" : ", ") + part; };
  if (tally.messages > 0) {
    add(fmt::format("{} for {} ({}) in {:.1f} s", counted(tally.messages, "message"),
                    counted(tally.recipients, "recipient"), human_size(tally.bytes), report.seconds));
  }
  if (tally.duplicates > 0) add(fmt::format("{} offered again and not delivered twice", tally.duplicates));
  if (tally.rejected > 0) add(fmt::format("{} refused", tally.rejected));
  if (tally.deferred > 0) add(fmt::format("{} put off", tally.deferred));
  return out;
}

std::string what_went(const app::SessionReport& report) {
  const auto& tally = *report.sent;
  std::string out;
  const auto add = [&out](const std::string& part) { out += (out.empty() ? "" : ", ") + part; };
  if (tally.messages > 0) {
    add(fmt::format("{} for {} ({}) in {:.1f} s", counted(tally.messages, "message"),
                    counted(tally.recipients, "recipient"), human_size(tally.bytes), report.seconds));
  }
  if (tally.bounced > 0) add(fmt::format("{} failed for good", tally.bounced));
  if (tally.deferred > 0) add(fmt::format("{} put off", tally.deferred));
  return out;
}

}  // namespace

std::string as_json(const app::SessionReport& report) {
  ordered_json out;
  out["session"] = report.session;
  out["provider"] = or_null(report.provider);
  out["outcome"] = name(report.outcome);
  out["exit"] = exit_status(report.outcome);
  out["started"] = time_text(report.started);
  out["seconds"] = std::round(report.seconds * 1000) / 1000;
  out["tls"] = or_null(report.tls);
  out["auth"] = or_null(report.auth);
  out["reply"] = or_null(report.reply);
  out["connections"] = report.connections;
  if (report.sent) {
    out["sent"] = {{"messages", report.sent->messages},
                   {"recipients", report.sent->recipients},
                   {"bytes", report.sent->bytes},
                   {"deferred", report.sent->deferred},
                   {"bounced", report.sent->bounced}};
  } else {
    out["received"] = {{"messages", report.received.messages}, {"recipients", report.received.recipients},
                       {"bytes", report.received.bytes},       {"rejected", report.received.rejected},
                       {"deferred", report.received.deferred}, {"duplicates", report.received.duplicates}};
  }
  if (!report.text.empty()) out["text"] = escape(report.text, k_long);
  if (!report.remedy.empty()) {
    out["cause"] = report.cause == Cause::unknown ? ordered_json(nullptr) : ordered_json(name(report.cause));
    out["remedy"] = escape(report.remedy, k_long);
  }
  return line_of_json(out);
}

std::string in_words(const app::SessionReport& report) {
  const std::string who = report.outcome == Outcome::sent ? "sent: "
                          : report.sent                   ? "outbound: "
                          : report.provider               ? escape(*report.provider) + ": "
                                                          : std::string();
  const std::string came = report.sent ? what_went(report) : what_came(report);
  switch (report.outcome) {
    case Outcome::no_mail:
      if (report.only_asks) return who + escape(report.text, k_long);
      return who + "no mail" + (report.text.empty() ? "" : "; " + escape(report.text, k_long));
    case Outcome::fetched:
    case Outcome::sent:
      return who + came;
    default:
      return who + std::string(name(report.outcome)) + ": " + escape(report.text, k_long) +
             (came.empty() ? "" : "; " + came) +
             (report.remedy.empty() ? "" : ". What to do: " + escape(report.remedy, k_long));
  }
}

std::string human_size(std::uint64_t bytes) {
  constexpr std::array<const char*, 4> units{"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return counted(bytes, "byte");
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, units.at(unit));
}

std::string counted(std::uint64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace odmr::show
