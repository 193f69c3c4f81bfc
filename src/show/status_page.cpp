#include "show/status_page.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/ascii.hpp"
#include "net/digest.hpp"
#include "sasl/base64.hpp"
#include "show/daemon_text.hpp"
#include "show/render.hpp"
#include "show/status_text.hpp"

namespace odmr::show {

namespace {

using app::CustomerStatus;
using app::DaemonStatus;

constexpr std::size_t k_long = 2000;
constexpr std::size_t k_days = app::k_days_looked_back;

constexpr const char* k_style = R"(
:root { color-scheme: light dark; --ground: #fbfbf9; --sheet: #ffffff; --ink: #1d2226; --faint: #5d666e;
  --rule: #dcdfe1; --bar: #2f6f9f; --bad: #a3291f; --bad-sheet: #fdf0ee; --good: #2a6b3c; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181b; --sheet: #1c2226; --ink: #e4e7e9; --faint: #9aa4ac;
  --rule: #343c42; --bar: #6fb1de; --bad: #ff9d92; --bad-sheet: #32201e; --good: #86cf9b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.25rem; max-width: 72rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.4rem; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 .6rem; font-size: 1.05rem; }
p { margin: .3rem 0; }
.faint, footer { color: var(--faint); }
.bad { color: var(--bad); }
.good { color: var(--good); }
.sums { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem; margin: 1.25rem 0 0; }
.sums div { padding: .7rem .9rem; background: var(--sheet); border: 1px solid var(--rule); border-radius: 6px; }
.sums dt { color: var(--faint); font-size: .85rem; }
.sums dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.troubles { margin: 0; padding: .8rem 1rem .8rem 2rem; background: var(--bad-sheet); border: 1px solid var(--bad);
  border-radius: 6px; overflow-wrap: anywhere; }
.troubles li + li { margin-top: .5rem; }
table { width: 100%; border-collapse: collapse; background: var(--sheet); border: 1px solid var(--rule); }
th, td { padding: .45rem .7rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--rule); }
thead th { color: var(--faint); font-size: .85rem; font-weight: 600; }
tbody tr:last-child > * { border-bottom: 0; }
tbody th { font-weight: 600; }
td, tbody th { overflow-wrap: anywhere; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
small { display: block; color: var(--faint); font-weight: 400; }
time { white-space: nowrap; }
svg { display: block; width: 100%; height: 9rem; background: var(--sheet); border: 1px solid var(--rule); }
.bar { fill: var(--bar); }
.scale { display: flex; justify-content: space-between; color: var(--faint); font-size: .85rem; }
footer { margin-top: 2rem; font-size: .85rem; }
@media (max-width: 40rem) {
  body { padding: .9rem; }
  thead { display: none; }
  table, tbody, tr, tbody th, td { display: block; }
  tr { padding: .5rem .8rem; border-bottom: 1px solid var(--rule); }
  tbody tr:last-child { border-bottom: 0; }
  tbody th, td { padding: .1rem 0; border: 0; }
  td { display: grid; grid-template-columns: 6.5rem 1fr; gap: .5rem; }
  td::before { content: attr(data-label); color: var(--faint); }
  td.number { text-align: left; white-space: normal; }
}
)";

// Text, also in an attribute's value.
std::string html(const std::string& text) {
  std::string out;
  for (const char c : escape(text, k_long)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string time_of(WallTime time) {
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

// The age, and the time itself for who points at it.
std::string age(WallTime then, WallTime now) {
  return fmt::format("<time datetime=\"{}\" title=\"{}\">{}</time>", time_text(then), time_of(then), ago(then, now));
}

// A cell with its column's name, which stands beside it where the page is narrow.
std::string cell(const char* label, const std::string& content, const char* kind = "") {
  const std::string cls = *kind == '\0' ? "" : fmt::format(" class=\"{}\"", kind);
  return fmt::format("<td{} data-label=\"{}\"><span>{}</span></td>", cls, label, content);
}

std::string heads(std::initializer_list<std::pair<const char*, const char*>> columns) {
  std::string out = "<thead><tr>";
  for (const auto& [name, kind] : columns)
    out += fmt::format("<th scope=\"col\"{}>{}</th>", *kind == '\0' ? "" : fmt::format(" class=\"{}\"", kind), name);
  return out + "</tr></thead>\n";
}

// --- the parts of the page

void add_sums(std::string& out, const DaemonStatus& status) {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t waiting = 0;
  for (const auto& one : status.customers) {
    messages += one.held.messages;
    bytes += one.held.bytes;
    waiting += one.waiting;
  }
  const auto add = [&out](const char* name, const std::string& value) {
    out += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", name, value);
  };
  out += "<dl class=\"sums\">\n";
  add("customers", std::to_string(status.customers.size()));
  add("messages held", std::to_string(messages));
  add("held", human_size(bytes));
  add("lines now", std::to_string(status.under_way.size()));
  add("of these waiting", std::to_string(waiting));
  if (status.free_space) add("free for mail", human_size(*status.free_space));
  out += "</dl>\n";
}

void add_troubles(std::string& out, const DaemonStatus& status) {
  if (status.troubles.empty()) return;
  out += "<h2>Wrong now</h2>\n<ul class=\"troubles\">\n";
  for (const auto& one : status.troubles) {
    out += fmt::format("<li><strong>{}</strong>: {}", html(one.with), html(one.text));
    if (!one.remedy.empty()) out += "<small>What to do: " + html(one.remedy) + "</small>";
    out += "</li>\n";
  }
  out += "</ul>\n";
}

std::string last_call(const CustomerStatus& one, WallTime now) {
  if (one.waiting > 0) return "<span class=\"good\">waits for mail now</span>";
  if (one.lines > 0) return "<span class=\"good\">on the line now</span>";
  if (!one.last) return "<span class=\"faint\">none yet</span>";
  std::string out = fmt::format("{}<small{}>{}</small>", age(one.last->ended, now),
                                one.last->is_good ? "" : " class=\"bad\"", html(in_words(*one.last)));
  if (!one.last->is_good)
    out += "<small>last good: " + (one.last_good ? age(*one.last_good, now) : std::string("none known")) + "</small>";
  return out;
}

void add_customers(std::string& out, const DaemonStatus& status) {
  out += "<h2>Customers</h2>\n";
  if (status.customers.empty()) {
    out += "<p>There is none; <code>odmrd customer add</code> adds one.</p>\n";
    return;
  }
  out += "<table>\n" +
         heads({{"customer", ""}, {"held", "number"}, {"size", "number"}, {"oldest", ""}, {"last call", ""}});
  out += "<tbody>\n";
  for (const auto& one : status.customers) {
    std::string domains;
    for (const auto& domain : one.domains) domains += (domains.empty() ? "" : ", ") + domain;
    std::string size = human_size(one.held.bytes);
    if (one.quota > 0)
      size += fmt::format("<small>{} % of {}</small>", one.held.bytes * 100 / one.quota, human_size(one.quota));
    out += fmt::format("<tr><th scope=\"row\">{}<small>{}</small></th>", html(one.name), html(domains));
    out += cell("held", std::to_string(one.held.messages), "number");
    out += cell("size", size, "number");
    out += cell("oldest", one.held.oldest ? age(*one.held.oldest, status.now) : "–");
    out += cell("last call", last_call(one, status.now)) + "</tr>\n";
  }
  out += "</tbody></table>\n";
}

// Bars, a day each, the oldest on the left. What is written stands outside, so that it is as large on a narrow page.
void add_chart(std::string& out, const DaemonStatus& status) {
  constexpr int k_height = 100;
  constexpr int k_step = 10;
  constexpr int k_width = k_step * static_cast<int>(k_days);
  std::array<provider::CallDay, k_days> days{};
  std::uint64_t most = 0;
  std::uint64_t sum = 0;
  for (const auto& day : status.days) {
    if (day.ago >= days.size()) continue;
    days.at(days.size() - 1 - day.ago) = day;
    most = std::max(most, day.messages);
    sum += day.messages;
  }
  const auto date = [&](std::size_t place) {
    const auto time = status.now - std::chrono::hours(24 * static_cast<int>(k_days - 1 - place));
    return fmt::format("{:%m-%d}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
  };
  out += fmt::format("<h2>Handed over in {} days: {}</h2>\n", k_days, counted(sum, "message"));
  out += fmt::format(
      "<svg viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Messages handed over on each "
      "of the last {} days; most on a day: {}\">\n",
      k_width, k_height, k_days, most);
  for (std::size_t i = 0; i < days.size(); ++i) {
    const auto& day = days.at(i);
    if (day.messages == 0) continue;
    // A day with any has a bar that can be seen.
    const auto share = static_cast<double>(day.messages) / static_cast<double>(most);
    const int height = std::max(2, static_cast<int>(share * (k_height - 4)));
    out += fmt::format(
        "<rect class=\"bar\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}: {} ({}), {}</title></rect>\n",
        static_cast<int>(i) * k_step + 1, k_height - height, k_step - 2, height, date(i),
        counted(day.messages, "message"), human_size(day.bytes), counted(day.calls, "call"));
  }
  out += fmt::format("</svg>\n<p class=\"scale\"><span>{}</span><span>most on a day: {}</span><span>today</span></p>\n",
                     date(0), most);
}

void add_calls(std::string& out, const DaemonStatus& status) {
  out += "<h2>Last calls</h2>\n";
  if (status.newest.empty()) {
    out += "<p>Nobody has called yet.</p>\n";
    return;
  }
  out += "<table>\n" + heads({{"customer", ""}, {"ended", ""}, {"from", ""}, {"how", ""}}) + "<tbody>\n";
  for (const auto& call : status.newest) {
    out += "<tr><th scope=\"row\">" + html(call.customer) + "</th>";
    out += cell("ended", age(call.ended, status.now));
    out += cell("from", html(call.address));
    out += cell("how", html(in_words(call)), call.is_good ? "" : "bad") + "</tr>\n";
  }
  out += "</tbody></table>\n";
}

void add_refused(std::string& out, const DaemonStatus& status) {
  if (status.refused.empty()) return;
  out += "<h2>Refused logins of the last 24 hours</h2>\n<table>\n" +
         heads({{"from", ""}, {"logins", "number"}, {"the last", ""}}) + "<tbody>\n";
  for (const auto& one : status.refused) {
    out += "<tr><th scope=\"row\">" + html(one.address) + "</th>";
    out +=
        cell("logins", std::to_string(one.count), "number") + cell("the last", age(one.last, status.now)) + "</tr>\n";
  }
  out += "</tbody></table>\n";
}

}  // namespace

std::string status_page(const DaemonStatus& status, const std::string& version) {
  const std::string name = html(status.hostname);
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"refresh\" content=\"60\">\n"
      "<title>" +
      name + ": odmrd</title>\n<style>" + k_style + "</style>\n</head>\n<body>\n";
  out += "<h1>" + name + "</h1>\n<p>";
  out += status.troubles.empty() ? "<span class=\"good\">Nothing is wrong.</span>"
                                 : "<strong class=\"bad\">" + counted(status.troubles.size(), "thing") +
                                       (status.troubles.size() == 1 ? " wants" : " want") + " looking after.</strong>";
  out += " <span class=\"faint\">As of " + time_of(status.now) + ".</span></p>\n";
  add_sums(out, status);
  add_troubles(out, status);
  add_customers(out, status);
  add_chart(out, status);
  add_calls(out, status);
  add_refused(out, status);
  out += "<footer>odmrd " + html(version) +
         ". The page is made anew every minute. The same for programs: <a href=\"/metrics\">/metrics</a>.</footer>\n"
         "</body>\n</html>\n";
  return out;
}

std::string status_page_policy() {
  return "style-src 'sha256-" + sasl::to_base64(net::sha256(k_style)) + "'";
}

}  // namespace odmr::show
