#include "mail/received.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <vector>

#include "base/ascii.hpp"
#include "smtp/path.hpp"

namespace odmr::mail {

namespace {

// Far from where lines become too long (RFC 5322 2.1.1), and more than any honest value needs.
constexpr std::size_t k_longest_word = 200;

// RFC 5321 4.1.3; empty for what is no address.
std::string literal(std::string_view address) {
  address = address.substr(0, address.find('%'));  // a link-local address names its interface
  const bool is_v6 = address.find(':') != std::string_view::npos;
  std::string out = (is_v6 ? "[IPv6:" : "[") + std::string(address) + "]";
  return smtp::is_ehlo_name(out) ? out : std::string();
}

// Fit for the inside of a comment: nothing that ends it, opens another or quotes.
std::string comment(std::string_view text) {
  std::string out(text.substr(0, k_longest_word));
  const auto unfit = [](char c) { return c < ' ' || c > '~' || c == '(' || c == ')' || c == '\\'; };
  std::replace_if(out.begin(), out.end(), unfit, '?');
  return "(" + out + ")";
}

// "NAME ([ADDRESS])": the name is the peer's word, the address is ours. The grammar has no room for a missing name.
std::string from_clause(const Received& received) {
  const std::string address = literal(received.from_address);
  std::string name = "localhost";
  if (smtp::is_ehlo_name(received.from_name)) {
    name = received.from_name;
  } else if (!address.empty()) {
    name = address;
  }
  if (!address.empty()) return "from " + name + " (" + address + ")";
  return "from " + name + (received.from_note.empty() ? "" : " " + comment(received.from_note));
}

bool is_atom(std::string_view text) {
  return !text.empty() && text.size() <= k_longest_word && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alnum(c) || std::string_view("!#$%&'*+-/=?^_`{|}~.").find(c) != std::string_view::npos;
  });
}

std::string by_clause(const Received& received) {
  std::string out = "by " + (smtp::is_ehlo_name(received.by) ? received.by : std::string("localhost"));
  if (is_atom(received.with)) out += " with " + received.with;
  if (!received.tls.empty()) out += " " + comment(received.tls);
  return out;
}

bool may_name(std::string_view mailbox) {
  return is_ascii(mailbox) && smtp::parse_mailbox(mailbox).has_value();
}

}  // namespace

std::string format(const Received& received) {
  std::vector<std::string> clauses{from_clause(received), by_clause(received)};
  if (is_atom(received.id)) clauses.push_back("id " + received.id);
  if (may_name(received.for_mailbox)) clauses.push_back("for <" + received.for_mailbox + ">");
  return fmt::format("Received: {};\r\n\t{}\r\n", fmt::join(clauses, "\r\n\t"), date_time(received.time));
}

std::string date_time(WallTime time) {
  constexpr std::array<std::string_view, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto midnight = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(midnight);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - midnight));
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} +0000", days.at(std::chrono::weekday(midnight).c_encoding()),
                     static_cast<unsigned>(date.day()), months.at(static_cast<unsigned>(date.month()) - 1),
                     static_cast<int>(date.year()), clock.hours().count(), clock.minutes().count(),
                     clock.seconds().count());
}

}  // namespace odmr::mail
