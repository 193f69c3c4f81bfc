// The envelope of a message from a mailbox: its first line says where the provider writes the recipient, the rest is
// the header. Only our domains come out, or whom the policy names; nobody twice, nobody whom a mail server would route
// onwards; what each delivery writes makes no other message; handing on twice is handing on once.

#include <set>
#include <string>

#include "input.hpp"
#include "mail/copies.hpp"
#include "mail/fields.hpp"
#include "mail/mailbox_envelope.hpp"
#include "mail/trace.hpp"
#include "smtp/path.hpp"

using namespace odmr;

namespace {

using Found = mail::MailboxEnvelope::Found;

mail::MailboxPolicy policy_of(std::string_view source) {
  mail::MailboxPolicy policy;
  policy.domains = {"example.org", "xn--bcher-kva.example"};
  policy.catch_all = {{"office", ""}};
  policy.own_hosts = {"mx.example.org"};
  policy.max_recipients = 5;
  fuzz::require(policy.users.add("a*@example.org", {"anna"}).has_value(), "a pattern");
  if (auto parsed = mail::parse_envelope_source(source)) policy.envelope.push_back(std::move(*parsed));
  return policy;
}

bool may_come_out(const smtp::Mailbox& one, const mail::MailboxPolicy& policy) {
  if (one.domain.empty()) return one.local_part == "office" || one.local_part == "anna";
  const auto again = smtp::parse_mailbox(one.text());
  return again && *again == one && policy.domains.count(one.domain) != 0 && !smtp::routes_onwards(one.local_part);
}

void check_envelope(const mail::MailboxEnvelope& envelope, const mail::MailboxPolicy& policy) {
  std::set<std::string> seen;
  for (const auto& one : envelope.recipients) {
    fuzz::require(may_come_out(one, policy), "ours, and as it may be said");
    fuzz::require(seen.insert(mail::comparable(one)).second, "nobody twice");
  }
  fuzz::require(seen.size() <= policy.max_recipients, "no more than allowed");
  fuzz::require(seen.empty() == (envelope.found == Found::loop), "somebody gets it, unless it is a loop");
  fuzz::require((envelope.unknown != mail::MailboxEnvelope::Unknown::nothing) == (envelope.found == Found::catch_all) ||
                    envelope.found == Found::loop,
                "the catch-all is told why");
  fuzz::require(!mail::describe(envelope).empty(), "there are words for it");
  const auto& sender = envelope.reverse_path;
  fuzz::require(sender.is_null || smtp::parse_mailbox(sender.text()).has_value(), "a sender that may be said");
}

void check_copies(const std::string& header, const mail::MailboxEnvelope& envelope) {
  const auto identity = mail::copy_identity(header, envelope);
  mail::FieldReader reader(header);
  if (!reader.next()) return;  // it would become part of the field on top
  fuzz::require(mail::copy_identity("Received: by x; y\r\nDelivered-To: z\r\n" + header, envelope) == identity,
                "what a delivery writes makes no other message");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = fuzz::text(data, size);
  const auto newline = bytes.find('\n');
  if (newline == std::string_view::npos) return 0;
  const auto policy = policy_of(bytes.substr(0, newline));
  const std::string header(bytes.substr(newline + 1));

  const auto envelope = mail::mailbox_envelope(header, policy);
  check_envelope(envelope, policy);
  check_envelope(mail::mailbox_envelope(header, policy, false), policy);
  check_copies(header, envelope);
  const auto once = mail::header_to_hand_on(header, true);
  fuzz::require(!mail::find_field(once, "Delivered-To") && !mail::find_field(once, "Return-Path"), "both are gone");
  return 0;
}
