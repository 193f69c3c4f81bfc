#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "deliver/target.hpp"
#include "journal/entry.hpp"
#include "journal/receipt.hpp"
#include "mail/header.hpp"
#include "net/digest.hpp"
#include "net/digest_thread.hpp"
#include "receive/copy.hpp"
#include "server/mail_session.hpp"

namespace odmr::receive {

/// Somebody whom we accepted.
struct Recipient {
  smtp::RcptCommand rcpt;
  std::size_t place = 0;                     ///< among those accepted
  std::string name;                          ///< as the journal has it
  bool is_withheld = false;                  ///< from the target: he may have the message
  std::optional<journal::EntryId> had = {};  ///< the entry that says that he has it
  bool has_copy = false;                     ///< he has got another copy of it
  std::optional<journal::EntryId> intended = {};
  smtp::Reply reply = {};  ///< the target's last word, for who is not had

  bool is_served() const { return had || has_copy; }
  bool is_asked_for() const { return !is_served() && !is_withheld_still() && reply.is_positive(); }
  bool is_withheld_still() const { return is_withheld && reply.code == 0; }
  bool is_taken() const { return !is_served() && reply.is_positive(); }
  bool is_put_off() const { return !is_served() && reply.is_transient(); }
  bool is_refused() const { return !is_served() && reply.is_permanent(); }
};

/// A message, from its MAIL until it is answered for.
struct Message {
  smtp::MailCommand mail;
  std::string reverse_path;                ///< as the journal has it
  journal::Origin origin;                  ///< known of a message from a mailbox, where the server has a name for it
  std::optional<journal::CopyKey> copies;  ///< of a message from a mailbox, of which there may be others
  bool may_be_copied = false;              ///< one that begins like it was delivered
  server::Hello hello;
  std::string id;
  deliver::Target* target = nullptr;   ///< the connection that is its own; null: the target is not asked
  std::optional<smtp::Reply> put_off;  ///< why the target was not asked for recipients
  std::vector<Recipient> recipients;
  std::deque<bool> withheld;  ///< what is decided already of recipients who come next
  struct Refused {
    std::size_t count = 0;
    smtp::Reply counted;  ///< the first one, unless a later one is 4xx
    net::Sha256 paths;
  } refused;
  std::string trace;
  mail::HeaderWatch header;
  std::optional<net::LongSha256> hash;  ///< while content comes
  std::string digest;                   ///< of the whole content
  std::uint64_t bytes = 0;
  bool is_bounce_kept = false;
  bool is_kept = false;                 ///< for some, by us
  bool is_streaming = false;            ///< to the target
  bool is_handed_over = false;          ///< the target has had its say
  std::optional<Copy> copy;             ///< where a recipient is withheld, or we may have to keep the message
  std::optional<smtp::Reply> hopeless;  ///< why nothing of the rest is looked at
  journal::MessageReceipt receipt;

  Message(std::size_t header_kept, net::DigestThread& digester) : header(header_kept) { hash.emplace(digester); }

  template <class Is>
  bool has(Is is) const {
    return std::any_of(recipients.begin(), recipients.end(), is);
  }
  std::vector<smtp::Mailbox> asked_for() const;

  /// The target gets no more of it: whoever it was asked for hears this.
  net::Task<> give_up_content(smtp::Reply reply);
  /// Nothing of it is to come of what the target has been told.
  net::Task<> abandon() const;
};

/// An address as the journal compares it: domains are the same in either case (RFC 5321 2.4).
std::string comparable(const smtp::Mailbox& mailbox);

}  // namespace odmr::receive
