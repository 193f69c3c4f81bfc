#include "mail/mailbox_envelope.hpp"

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>

#include "base/ascii.hpp"
#include "mail/addresses.hpp"
#include "mail/fields.hpp"
#include "mail/list_mail.hpp"
#include "mail/trace.hpp"

namespace odmr::mail {

namespace {

using Found = MailboxEnvelope::Found;
using Unknown = MailboxEnvelope::Unknown;

// More than anybody writes to, and few enough to hold each against our domains.
constexpr std::size_t k_most_addresses = 10'000;

constexpr std::string_view k_address_fields = "To, Cc, Bcc";
constexpr std::string_view k_resent_fields = "Resent-To, Resent-Cc, Resent-Bcc";

// Without the last field, where nothing shows that it is whole: the cut may be within an address, or before a fold.
std::string_view without_cut_field(std::string_view header) {
  FieldReader reader(header);
  std::size_t begin = 0;
  for (auto field = reader.next(); field; field = reader.next()) {
    begin = static_cast<std::size_t>(field->raw.data() - header.data());
  }
  return reader.rest().empty() ? header.substr(0, begin) : header;
}

bool is_resent(const Field& field) {
  return starts_with_ignoring_case(field.name, "Resent-");
}

// --- recipients

// The mailbox that an address of the header is, where it is one of ours.
std::optional<smtp::Mailbox> own_mailbox(const std::string& address, const std::set<std::string>& domains) {
  auto mailbox = smtp::parse_mailbox(address);
  if (!mailbox || smtp::routes_onwards(mailbox->local_part)) return std::nullopt;
  auto domain = smtp::canonical_domain(mailbox->domain);
  if (!domain || domains.count(*domain) == 0) return std::nullopt;
  return smtp::Mailbox{without_needless_quotes(mailbox->local_part), std::move(*domain)};
}

// Mailboxes, each once, in the order in which they came.
class Mailboxes {
 public:
  void add(smtp::Mailbox mailbox) {
    if (known_.insert(comparable(mailbox)).second) list_.push_back(std::move(mailbox));
  }
  std::vector<smtp::Mailbox>& list() { return list_; }

 private:
  std::unordered_set<std::string> known_;
  std::vector<smtp::Mailbox> list_;
};

// What the header alone says, before `users`.
struct Named {
  Found found = Found::catch_all;
  Unknown unknown = Unknown::nothing;
  std::string source;
  std::vector<smtp::Mailbox> mailboxes;
};

Named unknown(Unknown why, std::string_view source = {}) {
  return {Found::catch_all, why, std::string(source), {}};
}

Named named(Found found, std::string_view source, const std::vector<std::string>& addresses,
            const MailboxPolicy& policy) {
  if (addresses.size() > k_most_addresses) return unknown(Unknown::too_many, source);
  Mailboxes ours;
  for (const auto& one : addresses) {
    if (auto mailbox = own_mailbox(one, policy.domains)) ours.add(std::move(*mailbox));
  }
  if (ours.list().empty()) return unknown(Unknown::not_ours, source);
  return {found, Unknown::nothing, std::string(source), std::move(ours.list())};
}

// --- envelope fields

std::string_view without_prefix(std::string_view text, std::string_view prefix) {
  if (starts_with_ignoring_case(text, prefix)) text.remove_prefix(prefix.size());
  return text;
}

// "GMX delivery to anna@example.org" is no list of addresses until its prefix is gone; of a list that is one, each
// address may have it.
Result<std::vector<std::string>> addresses_of(std::string_view body, const EnvelopeSource& source) {
  auto found = addresses_in(body);
  if (!found && !source.prefix.empty()) {
    const auto begin = std::min(body.find_first_not_of(" \t\r\n"), body.size());
    return addresses_in(without_prefix(body.substr(begin), source.prefix));
  }
  if (!found) return found;
  for (auto& one : *found) one = std::string(without_prefix(one, source.prefix));
  return found;
}

bool is_received(const EnvelopeSource& source) {
  return equals_ignoring_case(source.field, "Received");
}

// The fields that a source means: the nth, and those that follow it at once with the same name.
std::vector<Field> fields_of(std::string_view header, const EnvelopeSource& source) {
  std::vector<Field> fields;
  std::size_t seen = 0;
  bool in_row = false;
  for_each_field(header, [&](const Field& field) {
    const bool is_it = field.is(source.field);
    const bool is_nth = is_it && ++seen == source.nth;
    in_row = is_nth || (in_row && is_it && !is_received(source));
    if (in_row) fields.push_back(field);
  });
  return fields;
}

// No value: the message does not have it.
std::optional<Named> named_by(const EnvelopeSource& source, std::string_view header, const MailboxPolicy& policy) {
  std::vector<std::string> addresses;
  const auto fields = fields_of(header, source);
  if (fields.empty()) return std::nullopt;
  if (is_received(source)) {
    auto trace = read_trace(fields.front().body);
    // Servers write no "for" when there are several recipients, so as not to tell them of each other.
    if (!trace || trace->recipients.empty()) return std::nullopt;
    addresses = std::move(trace->recipients);
    for (auto& one : addresses) one = std::string(without_prefix(one, source.prefix));
    return named(Found::envelope, source.field, addresses, policy);
  }
  for (const auto& field : fields) {
    auto found = addresses_of(field.body, source);
    if (!found || found->empty()) return unknown(Unknown::unreadable, source.field);
    addresses.insert(addresses.end(), found->begin(), found->end());
  }
  return named(Found::envelope, source.field, addresses, policy);
}

// --- To, Cc and Bcc

// The fields that say to whom a message was last sent.
struct Addressed {
  bool is_resent = false;
  std::vector<Field> fields;
};

// RFC 5322 3.6.6: whoever sends a message again puts his Resent- fields above those of an earlier time. A block of them
// ends where one comes again, or where a message has been on its way; that other fields stand between them is against
// the RFC, but happens.
class NewestResent {
 public:
  // Whether the field belongs to the newest block.
  bool takes(const Field& field) {
    if (is_over_) return false;
    if (!is_resent(field)) {
      is_over_ = has_begun_ && (field.is("Received") || field.is("Return-Path"));
      return false;
    }
    has_begun_ = true;
    is_over_ = !names_.insert(lower(field.name)).second;
    return !is_over_;
  }
  bool has_begun() const { return has_begun_; }

 private:
  bool has_begun_ = false;
  bool is_over_ = false;
  std::set<std::string> names_;
};

Addressed addressed(std::string_view header) {
  NewestResent newest;
  std::vector<Field> first_time;
  std::vector<Field> again;
  for_each_field(header, [&](const Field& field) {
    if (newest.takes(field) && field.is_one_of({"Resent-To", "Resent-Cc", "Resent-Bcc"})) again.push_back(field);
    if (field.is_one_of({"To", "Cc", "Bcc"})) first_time.push_back(field);
  });
  return {newest.has_begun(), newest.has_begun() ? std::move(again) : std::move(first_time)};
}

// --- all together

Named by_address_fields(std::string_view header, const MailboxPolicy& policy) {
  const auto kind = kind_of_list(header);
  const auto [resent, fields] = addressed(header);
  const auto source = resent ? k_resent_fields : k_address_fields;
  if (kind == ListKind::discussion && !resent) return unknown(Unknown::list_mail, source);
  if (resent && fields.empty()) return unknown(kind == ListKind::none ? Unknown::resent : Unknown::list_mail, source);

  std::vector<std::string> addresses;
  for (const auto& field : fields) {
    auto found = addresses_in(field.body, true);
    if (!found) return unknown(Unknown::unreadable, source);
    addresses.insert(addresses.end(), found->begin(), found->end());
  }
  addresses.erase(std::remove(addresses.begin(), addresses.end(), "<>"), addresses.end());
  auto ours = named(Found::address_fields, source, addresses, policy);
  if (kind == ListKind::none || ours.found == Found::catch_all) return ours;
  // A To in the list's own domain may be the list.
  const bool is_made_out = addresses.size() == 1 && !is_list_run_from(ours.mailboxes.front().domain, header);
  return is_made_out ? ours : unknown(Unknown::list_mail, source);
}

Named whom_it_names(std::string_view header, const MailboxPolicy& policy, bool is_whole) {
  if (!policy.only.empty()) return {Found::only, Unknown::nothing, "", policy.only};
  for (const auto& source : policy.envelope) {
    if (auto found = named_by(source, header, policy)) return std::move(*found);
  }
  if (!policy.use_address_fields) return unknown(Unknown::no_envelope);
  if (!is_whole) return unknown(Unknown::too_long);
  return by_address_fields(header, policy);
}

// --- loops

// Where a message has been.
struct Past {
  std::size_t hops = 0;
  std::size_t rounds = 0;                   // how often we have collected it
  std::unordered_set<std::string> reached;  // comparable(): who got it through us
  bool is_sent_again = false;               // by somebody's hand, after we last had it

  bool has_reached(const smtp::Mailbox& mailbox) const {
    return !is_sent_again && reached.count(comparable(mailbox)) != 0;
  }
};

void note(const std::vector<std::string>& addresses, Past& past) {
  for (const auto& one : addresses) {
    if (const auto mailbox = smtp::parse_mailbox(one)) past.reached.insert(comparable(*mailbox));
  }
}

// Only what collecting writes counts ("with POP3", "with IMAP"): mail that went out from here has our name in Received
// as well, and may come back by right, from a list or to a colleague.
bool is_own_collecting(const Trace& trace, const MailboxPolicy& policy) {
  const bool is_collecting =
      starts_with_ignoring_case(trace.with, "POP3") || starts_with_ignoring_case(trace.with, "IMAP");
  return is_collecting && policy.own_hosts.count(lower(trace.by)) != 0;
}

// Whom a field says it was delivered to, before we had it: a Delivered-To, or a field of the provider's.
void note_delivery(const Field& field, const MailboxPolicy& policy, Past& past) {
  EnvelopeSource source{"Delivered-To", 1, ""};
  for (const auto& one : policy.envelope) {
    if (field.is(one.field)) source = one;
  }
  if (!field.is(source.field)) return;
  if (const auto addresses = addresses_of(field.body, source)) note(*addresses, past);
}

Past past_of(std::string_view header, const MailboxPolicy& policy) {
  Past past;
  for_each_field(header, [&](const Field& field) {
    if (!field.is("Received")) {
      if (past.rounds > 0) note_delivery(field, policy, past);
      if (past.rounds == 0 && is_resent(field)) past.is_sent_again = true;
      return;
    }
    ++past.hops;
    const auto trace = read_trace(field.body);
    if (!trace || !is_own_collecting(*trace, policy)) return;
    ++past.rounds;
    note(trace->recipients, past);
  });
  return past;
}

// --- the envelope

void take_return_path(std::string_view header, MailboxEnvelope& envelope) {
  envelope.reverse_path.is_null = true;
  const auto field = find_field(header, "Return-Path");
  if (!field) return;
  const auto addresses = addresses_in(field->body, true);
  if (!addresses || addresses->size() != 1) return;
  if (addresses->front() == "<>") {
    envelope.has_return_path = true;
    return;
  }
  auto mailbox = smtp::parse_mailbox(addresses->front());
  if (!mailbox) return;  // "<MAILER-DAEMON>", and qmail's "#@[]" of a bounce of a bounce
  envelope.has_return_path = true;
  envelope.reverse_path.is_null = false;
  envelope.reverse_path.mailbox = std::move(*mailbox);
}

// The recipients whom the mailboxes stand for. No value: there are too many.
std::optional<std::vector<smtp::Mailbox>> recipients_for(const Named& named, const Past& past,
                                                         const MailboxPolicy& policy) {
  const bool is_from_header = named.found == Found::envelope || named.found == Found::address_fields;
  if (named.mailboxes.size() > policy.max_recipients && is_from_header) return std::nullopt;
  Mailboxes recipients;
  for (const auto& mailbox : named.mailboxes) {
    if (is_from_header && past.has_reached(mailbox)) continue;
    const auto* targets = is_from_header ? policy.users.find(mailbox) : nullptr;
    const std::vector<smtp::Mailbox> itself{mailbox};
    for (const auto& target : targets != nullptr ? *targets : itself) {
      if (!past.has_reached(target)) recipients.add(target);
    }
  }
  if (recipients.list().size() > policy.max_recipients && is_from_header) return std::nullopt;
  return std::move(recipients.list());
}

}  // namespace

MailboxEnvelope mailbox_envelope(std::string_view text, const MailboxPolicy& policy, bool is_whole) {
  auto header = without_mailbox_lines(text);
  if (!is_whole) header = without_cut_field(header);
  MailboxEnvelope envelope;
  take_return_path(header, envelope);
  const auto past = past_of(header, policy);
  if (past.hops > policy.max_hops || past.rounds > policy.max_rounds) {
    envelope.found = Found::loop;
    return envelope;
  }
  auto whom = whom_it_names(header, policy, is_whole);
  auto recipients = recipients_for(whom, past, policy);
  if (!recipients) whom = unknown(Unknown::too_many, whom.source);
  if (whom.found == Found::catch_all) {
    whom.mailboxes = policy.catch_all;
    recipients = recipients_for(whom, past, policy);
  }
  envelope.found = recipients->empty() && !whom.mailboxes.empty() ? Found::loop : whom.found;
  envelope.unknown = whom.unknown;
  envelope.source = std::move(whom.source);
  envelope.recipients = std::move(*recipients);
  return envelope;
}

std::string describe(const MailboxEnvelope& envelope) {
  const auto in = [&envelope](const char* what) {
    return std::string("catch-all: ") + what + (envelope.source.empty() ? "" : " (" + envelope.source + ")");
  };
  if (envelope.found == Found::only) return "the one recipient of this mailbox";
  if (envelope.found == Found::loop) return "a loop: it has been collected and delivered from here before";
  if (envelope.found != Found::catch_all) return envelope.source;
  switch (envelope.unknown) {
    case Unknown::nothing:
      break;
    case Unknown::list_mail:
      return "catch-all: list mail whose recipient is not in it";
    case Unknown::resent:
      return "catch-all: resent, but not said to whom";
    case Unknown::not_ours:
      return in("names nobody in our domains");
    case Unknown::unreadable:
      return in("cannot be read");
    case Unknown::too_many:
      return in("names too many recipients");
    case Unknown::too_long:
      return "catch-all: its header is too long to be read to the end";
    case Unknown::no_envelope:
      return "catch-all: none of the envelope fields is in it";
  }
  return "catch-all";
}

Result<EnvelopeSource> parse_envelope_source(std::string_view text) {
  const auto take_word = [&text] {
    const auto word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    return word;
  };
  const auto is_fit = [](char c) { return c > ' ' && c < 0x7f && c != ':'; };  // RFC 5322 3.6.8
  const std::string whole = escape(text, 100);
  const auto wrong = [&whole](const char* what) { return fail(Errc::malformed, "\"" + whole + "\" " + what); };

  EnvelopeSource source;
  source.field = take_word();
  if (source.field.empty() || !std::all_of(source.field.begin(), source.field.end(), is_fit)) {
    return wrong(
        "does not begin with the name of a header field: write it without a colon, as in \"Delivered-To mbox-\"");
  }
  if (const auto number = parse_number(text.substr(0, text.find(' ')))) {
    if (*number < 1 || *number > 100) return wrong("counts the fields from the top: 1 to 100");
    source.nth = static_cast<std::size_t>(*number);
    take_word();
  }
  source.prefix = text;
  if (std::any_of(text.begin(), text.end(), is_control)) return wrong("has a control character in its prefix");
  return source;
}

std::string header_to_hand_on(std::string_view header, bool drop_delivered_to) {
  std::string out;
  FieldReader reader(without_mailbox_lines(header));
  for (auto field = reader.next(); field; field = reader.next()) {
    const bool goes = field->is("Return-Path") || (drop_delivered_to && field->is("Delivered-To"));
    if (!goes) out += field->raw;
  }
  out += reader.rest();
  return out;
}

}  // namespace odmr::mail
