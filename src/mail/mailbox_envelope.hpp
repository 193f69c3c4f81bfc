#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "mail/user_map.hpp"
#include "smtp/path.hpp"

// The envelope of a message that lay in a mailbox. POP3 and IMAP have none: it was thrown away when the provider put
// the message there, and what is left of it stands in the header, if anywhere.
namespace odmr::mail {

/// A field in which the provider writes for whom it put the message into the mailbox.
struct EnvelopeSource {
  /// "Delivered-To", "X-Envelope-To", …; of "Received" the "for" clause.
  std::string field;
  /// Which of several counts, from the top: 1 is the one that was written last (RFC 5321 4.4 has trace fields
  /// prepended). A field other than Received counts with all that follow it at once and have its name, since some
  /// write one for each recipient.
  /// The top one is the provider's, where it writes one at all; whatever stands below a Received field of his may be
  /// the sender's. So name only fields that the provider writes into every message. A sender who writes one himself
  /// reaches nobody whom he could not write to.
  std::size_t nth = 1;
  /// Taken off the beginning of the field, or of a local part: "mbox-" of qmail's "mbox-anna@example.org". Where it
  /// does not stand there, nothing is taken off.
  std::string prefix;
};
/// "Delivered-To", "Delivered-To mbox-", "Received 2", "Delivered-To 2 mbox-": name, number, prefix. Errors: malformed.
Result<EnvelopeSource> parse_envelope_source(std::string_view text);

struct MailboxPolicy {
  /// One mailbox for one address: all mail is for these, whatever its header says. Empty: a mailbox of many.
  std::vector<smtp::Mailbox> only;
  std::set<std::string> domains;  ///< ours, as smtp::canonical_domain() has them; nobody else is a recipient
  /// The first that a message has is believed, and nothing else, even where it names nobody of ours.
  std::vector<EnvelopeSource> envelope;
  /// To, Cc and Bcc, or their Resent- twins, where a message has none of these.
  bool use_address_fields = true;
  UserMap users;
  std::vector<smtp::Mailbox> catch_all;  ///< who gets what nobody can tell; as it is, without `users`
  std::set<std::string> own_hosts;       ///< our names in Received, in small letters
  std::size_t max_recipients = 100;      ///< of one message (RFC 5321 4.5.3.1.8)
  std::size_t max_hops = 100;            ///< Received fields (RFC 5321 6.3)
  /// How often a message may have been collected by us before. It may come again by right: a list here has a member
  /// whose mail goes to the mailbox.
  std::size_t max_rounds = 3;
};

struct MailboxEnvelope {
  enum class Found {
    only,            ///< policy.only
    envelope,        ///< a field of policy.envelope
    address_fields,  ///< To, Cc, Bcc or Resent-To, Resent-Cc, Resent-Bcc
    catch_all,       ///< `unknown` says why
    loop,            ///< it has been here: nobody gets it, and it must not be sent back either
  };
  enum class Unknown {
    nothing,
    list_mail,    ///< To and Cc of it do not name the subscriber
    resent,       ///< resent, and the newest Resent- fields name nobody: its To is the one of before
    not_ours,     ///< only recipients in other domains, or none, as in mail with Bcc
    unreadable,   ///< the field that should tell breaks its grammar; half a list would be a guess
    too_many,     ///< more than max_recipients of ours, or ten thousand of whomever
    too_long,     ///< the header was cut: the rest of it may name more
    no_envelope,  ///< none of the envelope fields is there, and To and Cc shall not be asked
  };

  /// From Return-Path, which whoever delivers for good writes on top (RFC 5321 4.4). Null where it says "<>", and where
  /// there is none, or none that can be read: From is no sender (it may be forged, and of list mail it is not the one
  /// who wants to know of failures), and a null reverse-path is the one to which nobody sends a bounce.
  smtp::Path reverse_path;
  bool has_return_path = false;  ///< one that could be read
  /// No two the same, in the order of the header, without any whom the message has reached through us before. The
  /// domains of those from the header are in canonical form, so that receive::Guard lets them through; of those from
  /// `users`, `only` and `catch_all` they are as configured, and may be empty. Empty with `loop`; and where there is no
  /// catch-all: such a message has to stay in the mailbox.
  std::vector<smtp::Mailbox> recipients;
  Found found = Found::catch_all;
  Unknown unknown = Unknown::nothing;
  /// The field of policy.envelope, or "To, Cc, Bcc", or "Resent-To, Resent-Cc, Resent-Bcc"; also where it was read in
  /// vain. Empty without.
  std::string source;
};

/// For a log or a report: "Delivered-To", "To, Cc, Bcc", "catch-all: list mail whose recipient is not in it".
std::string describe(const MailboxEnvelope& envelope);

/// Whom a message from the mailbox is for. `header`: all of it, up to the empty line or further; CRLF or LF; it ends at
/// the first line that is no field (but "From " lines of a mailbox file on top are passed over). Works in the time of
/// one who reads it a few times. `is_whole`: false where it was cut; then a field that may go on is not believed, and
/// To and Cc are not asked, for half of them would be a guess.
///
/// List mail: the copy in the mailbox is for a subscriber, and those in To and Cc have got theirs from the author; so
/// it goes to the catch-all, also where To names somebody of ours. One exception: a newsletter (it says
/// List-Unsubscribe or "Precedence: bulk", but has none of the marks of a list that people write to) or list mail that
/// somebody resent, with a single address in all of To, Cc and Bcc, ours, in a domain other than the one from which the
/// list is run: such mail is made out to its recipient.
///
/// An address that a mail server might route onwards (smtp::routes_onwards) is none of ours.
MailboxEnvelope mailbox_envelope(std::string_view header, const MailboxPolicy& policy, bool is_whole = true);

/// The header as it is handed on: without Return-Path, which the one who delivers writes anew (RFC 5321 4.4), without
/// "From " lines on top, and, where `drop_delivered_to`, without Delivered-To: Postfix and others take one that names
/// the recipient for a loop. All else, also what follows the header, to the byte.
std::string header_to_hand_on(std::string_view header, bool drop_delivered_to);

}  // namespace odmr::mail
