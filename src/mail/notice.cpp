#include "mail/notice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/ascii.hpp"
#include "mail/received.hpp"
#include "smtp/path.hpp"
#include "smtp/reply.hpp"

namespace odmr::mail {

namespace {

using Action = DeliveryStatus::Action;
using Recipient = DeliveryStatus::Recipient;

constexpr std::size_t k_line = 78;            // RFC 5322 2.1.1
constexpr std::size_t k_longest_words = 800;  // of a peer, or in an address: far from 998 octets even in one line
constexpr std::size_t k_most_named = 50;      // recipients that people read; the report has all of them
constexpr std::string_view k_cut = " [...]";

constexpr bool is_printable(char c) {
  return c >= ' ' && c <= '~';
}

// --- strangers' words

// One line of printable ASCII: blanks of any kind become a space, all else that is not printable a question mark.
std::string harmless(std::string_view words) {
  std::string out;
  for (const char c : words.substr(0, k_longest_words)) {
    const bool is_blank = c == ' ' || (c >= '\t' && c <= '\r');
    if (!is_blank) {
      out += is_printable(c) ? c : '?';
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  if (out.ends_with(' ')) out.pop_back();
  if (words.size() > k_longest_words) out += k_cut;
  return out;
}

// The code point that a UTF-8 text begins with, and its length there. The text must be UTF-8.
std::pair<std::uint32_t, std::size_t> first_code_point(std::string_view text) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto more = [&](std::size_t i) { return octet(i) & 0x3FU; };
  if (octet(0) < 0x80) return {octet(0), 1};
  if (octet(0) < 0xE0) return {(octet(0) & 0x1FU) << 6 | more(1), 2};
  if (octet(0) < 0xF0) return {(octet(0) & 0x0FU) << 12 | more(1) << 6 | more(2), 3};
  return {(octet(0) & 0x07U) << 18 | more(1) << 12 | more(2) << 6 | more(3), 4};
}

// RFC 6533 3, utf-8-addr-xtext: what is not printable ASCII, and what xtext gives a meaning to, as \x{HEX}.
std::string in_seven_bits(std::string_view utf8) {
  std::string out;
  while (!utf8.empty()) {
    if (out.size() > k_longest_words) return out + std::string(k_cut);
    const auto [point, length] = first_code_point(utf8);
    const bool is_plain = point > 0x20 && point < 0x7f && point != '\\' && point != '+' && point != '=';
    out += is_plain ? std::string(1, utf8.front()) : fmt::format("\\x{{{:02X}}}", point);
    utf8.remove_prefix(length);
  }
  return out;
}

void append_code_point(std::uint32_t point, std::string& out) {
  const auto put = [&](std::uint32_t octet) { out += static_cast<char>(octet); };
  if (point < 0x80) {
    put(point);
  } else if (point < 0x800) {
    put(0xC0 | point >> 6);
    put(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    put(0xE0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  } else {
    put(0xF0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3F));
    put(0x80 | (point >> 6 & 0x3F));
    put(0x80 | (point & 0x3F));
  }
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  const char letter = to_lower(c);
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

// The number of "{HEX}" at the beginning of the text, and the length of that; length 0 where there is none.
std::pair<std::uint32_t, std::size_t> embedded_code_point(std::string_view text) {
  const auto end = text.substr(0, 8).find('}');
  if (!text.starts_with('{') || end == std::string_view::npos || end < 3) return {0, 0};
  std::uint32_t point = 0;
  for (const char c : text.substr(1, end - 1)) {
    const int digit = hex_value(c);
    if (digit < 0) return {0, 0};
    point = point * 16 + static_cast<std::uint32_t>(digit);
  }
  return {point, end + 1};
}

// The way back: utf-8-addr-xtext or utf-8-addr-unitext to UTF-8.
std::string in_utf8(std::string_view address) {
  std::string out;
  while (!address.empty()) {
    const auto [point, length] =
        address.starts_with("\\x") ? embedded_code_point(address.substr(2)) : std::pair<std::uint32_t, std::size_t>();
    if (length == 0) {
      out += address.front();
      address.remove_prefix(1);
    } else {
      append_code_point(point, out);
      address.remove_prefix(2 + length);
    }
  }
  return out;
}

// --- addresses

// An address as far as it can be shown at all: one line, UTF-8 or ASCII, without controls.
std::string shown(std::string_view address) {
  const bool takes_utf8 = is_utf8(address);
  std::string out;
  for (const char c : address.substr(0, k_longest_words)) {
    const bool is_high = static_cast<unsigned char>(c) >= 0x80;
    out += is_printable(c) || (is_high && takes_utf8) ? c : '?';
  }
  while (!is_utf8(out)) out.pop_back();  // cut in mid-letter
  return out;
}

bool is_type(std::string_view text) {
  return !text.empty() && text.size() <= 40 &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '-'; });
}

// How addresses are written in one notice.
class AddressStyle {
 public:
  explicit AddressStyle(bool utf8) : utf8_(utf8) {}

  // For people, and for the report where it stands behind the type.
  std::string plain(std::string_view address) const {
    const auto text = shown(address);
    return utf8_ || is_ascii(text) ? text : in_seven_bits(text);
  }
  // "rfc822; a@b" (RFC 3464 2.1.2).
  std::string typed(std::string_view address) const {
    return (is_ascii(shown(address)) ? "rfc822; " : "utf-8; ") + plain(address);
  }
  // Of ORCPT; empty for what is none.
  std::string original(std::string_view orcpt) const {
    const auto semicolon = orcpt.find(';');
    const auto type = orcpt.substr(0, semicolon);
    if (semicolon == std::string_view::npos || !is_type(type)) return {};
    const auto address = orcpt.substr(semicolon + 1);
    const bool is_international = equals_ignoring_case(type, "utf-8");
    const auto text = shown(is_international ? in_utf8(decode_xtext(address)) : decode_xtext(address));
    if (is_international && !utf8_) return "utf-8; " + in_seven_bits(text);
    return std::string(type) + "; " + (utf8_ || is_ascii(text) ? text : in_seven_bits(text));
  }

 private:
  bool utf8_;
};

bool is_ascii_all_over(const DeliveryStatus& status) {
  return is_ascii(status.addressee) &&
         std::all_of(status.recipients.begin(), status.recipients.end(), [](const Recipient& recipient) {
           return is_ascii(recipient.address) && is_ascii(in_utf8(decode_xtext(recipient.original)));
         });
}

// --- replies

struct Words {
  int code = 0;  // of the reply; 0: they are no reply
  std::string status;
  std::string text;  // harmless
};

// RFC 3463: the reply's enhanced code where it has one. What is only delayed has not failed for good, whatever the
// reply said (RFC 3464 2.3.4).
Words words_of(const Recipient& recipient, Action action) {
  Words words;
  words.text = harmless(recipient.reply);
  const std::string_view text = words.text;
  const bool has_code = text.size() >= 3 && is_digit(text[0]) && is_digit(text[1]) && is_digit(text[2]) &&
                        (text.size() == 3 || text[3] == ' ');
  const int code = has_code ? static_cast<int>(*parse_number(text.substr(0, 3))) : 0;
  if (code >= 400 && code < 600) words.code = code;
  const bool is_transient = action == Action::delayed || words.code / 100 == 4;
  const smtp::Reply reply(words.code, std::string(text.substr(std::min<std::size_t>(text.size(), 4))));
  const auto enhanced = words.code == 0 ? std::nullopt : reply.enhanced();
  words.status =
      fmt::format("{}.{}.{}", is_transient ? 4 : 5, enhanced ? enhanced->subject : 0, enhanced ? enhanced->detail : 0);
  return words;
}

// --- lines

// `begin` and `text`, broken at the text's spaces to k_line columns where that can be; every further line begins with
// `indent`.
std::string wrapped(std::string begin, std::string_view text, std::string_view indent) {
  std::string out = std::move(begin);
  std::size_t column = out.size();
  for (bool is_first = true; is_first || !text.empty(); is_first = false) {
    const auto word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (!is_first && column + 1 + word.size() > k_line) {
      out += "\r\n";
      out += indent;
      column = indent.size();
    } else if (!is_first) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out + "\r\n";
}

// A field of words, folded.
std::string field_of_words(std::string_view name, std::string_view words) {
  return wrapped(std::string(name) + ": ", words, " ");
}
// A field that is not folded, because its spaces may mean something.
std::string field(std::string_view name, std::string_view value) {
  return fmt::format("{}: {}\r\n", name, value);
}

std::string host_name(const std::string& hostname) {
  return smtp::is_ehlo_name(hostname) ? hostname : "localhost";
}

// --- the parts

// Everything about one notice that several of its parts need.
struct Notice {
  const DeliveryStatus& status;
  bool is_failure;
  bool utf8;            // RFC 6533 is used for the addresses
  bool header_is_utf8;  // … and for the original
  bool original_is_8bit;
  bool whole_message;
  std::string host;
  std::string boundary;
  AddressStyle style;
};

std::string boundary_of(const std::string& message_id) {
  std::string out = "=_";  // never comes up in quoted-printable or base64
  for (const char c : message_id) {
    if (out.size() < 70 && (is_alnum(c) || c == '-' || c == '.' || c == '_')) out += c;  // RFC 2046 5.1.1
  }
  if (out.ends_with('.')) out += '-';
  return out;
}

std::string message_id_of(const std::string& message_id) {
  std::string out;
  for (const char c : message_id.substr(0, 200)) {
    if (is_alnum(c) || c == '-' || c == '.' || c == '_') out += c;
  }
  return out;
}

std::string addressee_of(const std::string& addressee) {
  return smtp::parse_mailbox(addressee) ? "<" + addressee + ">" : "undisclosed-recipients:;";
}

std::string header(const Notice& notice) {
  const DeliveryStatus& status = notice.status;
  std::string out = field("Date", date_time(status.now));
  out += field("From", "Mail delivery <MAILER-DAEMON@" + notice.host + ">");
  out += field("To", addressee_of(status.addressee));
  out += field("Subject", notice.is_failure ? "Your message could not be delivered"
                                            : "Your message is delayed; you need not do anything");
  out += field("Message-ID", "<" + message_id_of(status.message_id) + "@" + notice.host + ">");
  out += field("Auto-Submitted", "auto-replied");  // RFC 3834 5
  out += field("MIME-Version", "1.0");
  out += "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"" + notice.boundary + "\"\r\n";
  if (notice.utf8 || notice.original_is_8bit) out += field("Content-Transfer-Encoding", "8bit");
  return out;
}

std::string part(const Notice& notice, std::string_view description, std::string_view type, bool is_8bit) {
  return "\r\n--" + notice.boundary + "\r\n" + field("Content-Description", description) + field("Content-Type", type) +
         (is_8bit ? field("Content-Transfer-Encoding", "8bit") : "") + "\r\n";
}

std::string said(const Notice& notice, const Recipient& recipient) {
  const auto words = words_of(recipient, notice.status.action);
  const auto host = harmless(recipient.remote_host);
  if (words.text.empty()) return {};
  const std::string whose = host.empty() ? "" : " of " + host;
  const bool is_final = notice.is_failure && words.code / 100 != 4;
  std::string introduction = (is_final ? "The answer" : "The last answer") + whose + " was: ";
  if (notice.is_failure && !is_final) introduction.insert(0, "The time for trying is over. ");
  return wrapped("        ", introduction + words.text, "        ");
}

std::string recipients_for_people(const Notice& notice) {
  const auto& recipients = notice.status.recipients;
  std::string out;
  for (std::size_t i = 0; i < std::min(recipients.size(), k_most_named); ++i) {
    out += "    <" + notice.style.plain(recipients[i].address) + ">\r\n" + said(notice, recipients[i]) + "\r\n";
  }
  if (recipients.size() > k_most_named) {
    out += fmt::format("    and {} more; the report below names them all.\r\n\r\n", recipients.size() - k_most_named);
  }
  return out;
}

std::string what_happens_now(const Notice& notice) {
  if (notice.is_failure) {
    return "It will not be tried again. Where an address is wrong, please correct it and\r\n"
           "send the message once more; where the answer says something else, it may help\r\n"
           "those who look after the recipient's mail, or yours.\r\n";
  }
  return "You need not do anything. It will be tried until\r\n" + date_time(notice.status.until) +
         ", and if it cannot be delivered by then you\r\nwill be told.\r\n";
}

std::string for_people(const Notice& notice) {
  std::string out = part(notice, "Notification",
                         notice.utf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", notice.utf8);
  out += "This is the mail system at " + notice.host + ".\r\n";
  out += "\r\nYour message of " + date_time(notice.status.arrival) + "\r\n";
  out += notice.is_failure ? "could not be delivered to:\r\n\r\n" : "has not been delivered yet to:\r\n\r\n";
  out += recipients_for_people(notice) + what_happens_now(notice);
  out += "\r\nBelow are a report for programs and ";
  out += notice.whole_message ? "your message.\r\n" : "the header of your message.\r\n";
  return out;
}

std::string report_on(const Notice& notice, const Recipient& recipient) {
  const auto words = words_of(recipient, notice.status.action);
  const auto original = notice.style.original(recipient.original);
  const auto host = harmless(recipient.remote_host);
  std::string out = "\r\n";
  if (!original.empty()) out += field("Original-Recipient", original);
  out += field("Final-Recipient", notice.style.typed(recipient.address));
  out += field("Action", notice.is_failure ? "failed" : "delayed");
  out += field("Status", words.status);
  if (!host.empty()) out += field_of_words("Remote-MTA", "dns; " + host);
  // Words that are no reply are ours (RFC 3464 2.1.1: a type that is not registered begins with "x-").
  if (!words.text.empty())
    out += field_of_words("Diagnostic-Code", (words.code != 0 ? "smtp; " : "x-odmr; ") + words.text);
  if (!notice.is_failure) out += field("Will-Retry-Until", date_time(notice.status.until));
  return out;
}

std::string for_programs(const Notice& notice) {
  const DeliveryStatus& status = notice.status;
  std::string out = part(notice, "Delivery report",
                         notice.utf8 ? "message/global-delivery-status" : "message/delivery-status", notice.utf8);
  const auto envelope_id = harmless(decode_xtext(status.envelope_id));
  if (!envelope_id.empty()) out += field_of_words("Original-Envelope-Id", envelope_id);
  out += field("Reporting-MTA", "dns; " + notice.host);
  out += field("Arrival-Date", date_time(status.arrival));
  for (const auto& recipient : status.recipients) out += report_on(notice, recipient);
  return out;
}

std::string_view type_of_original(const Notice& notice) {
  if (notice.whole_message) return notice.header_is_utf8 ? "message/global" : "message/rfc822";
  return notice.header_is_utf8 ? "message/global-headers" : "text/rfc822-headers";
}

}  // namespace

std::string decode_xtext(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const int high = text.size() >= 3 && text[0] == '+' ? hex_value(text[1]) : -1;
    const int low = high >= 0 ? hex_value(text[2]) : -1;
    out += low >= 0 ? static_cast<char>(high * 16 + low) : text.front();
    text.remove_prefix(low >= 0 ? 3 : 1);
  }
  return out;
}

NoticeFrame frame(const DeliveryStatus& status, bool original_is_8bit, bool header_is_utf8) {
  const bool utf8 = status.internationalized && !is_ascii_all_over(status);
  const bool needs_more_than_8bit = header_is_utf8 && !status.internationalized;
  const Notice notice{status,
                      status.action == Action::failed,
                      utf8,
                      header_is_utf8 && status.internationalized,
                      original_is_8bit || header_is_utf8,
                      status.whole_message && !needs_more_than_8bit,
                      host_name(status.hostname),
                      boundary_of(status.message_id),
                      AddressStyle(utf8)};
  NoticeFrame out;
  out.before = header(notice) + "\r\nThis is a message in MIME format: a notification, a report, the original.\r\n" +
               for_people(notice) + for_programs(notice) +
               part(notice, notice.whole_message ? "Your message" : "The header of your message",
                    type_of_original(notice), notice.original_is_8bit);
  out.after = "\r\n--" + notice.boundary + "--\r\n";
  out.whole_message = notice.whole_message;
  out.needs_smtputf8 = !is_ascii(status.addressee);
  out.needs_8bit = notice.utf8 || notice.original_is_8bit || out.needs_smtputf8;
  return out;
}

}  // namespace odmr::mail
