#include "mail/copies.hpp"

#include "base/ascii.hpp"
#include "mail/fields.hpp"

namespace odmr::mail {

namespace {

// What each delivery writes anew is none of it.
bool is_of_the_author(const Field& field) {
  const auto begins = [&field](std::string_view with) { return starts_with_ignoring_case(field.name, with); };
  return begins("Content-") || begins("Resent-") || begins("List-") ||
         field.is_one_of({"Date", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To",
                          "References", "Subject", "Comments", "Keywords", "Precedence", "MIME-Version"});
}

// Unfolded, with one blank for many: a fold is a blank more or less.
std::string in_one_line(const Field& field) {
  std::string out = lower(field.name) + ":";
  for (const char c : field.value()) {
    const bool is_blank = c == ' ' || c == '\t';
    if (!is_blank || out.back() != ' ') out += is_blank ? ' ' : c;
  }
  return out + "\n";
}

}  // namespace

std::optional<std::string> copy_identity(std::string_view header, const MailboxEnvelope& envelope) {
  if (envelope.found != MailboxEnvelope::Found::address_fields) return std::nullopt;
  std::size_t ids = 0;
  std::string out;
  for_each_field(without_mailbox_lines(header), [&](const Field& field) {
    if (field.is("Message-ID") && !field.value().empty()) ++ids;
    if (is_of_the_author(field)) out += in_one_line(field);
  });
  if (ids != 1) return std::nullopt;
  return out;
}

}  // namespace odmr::mail
