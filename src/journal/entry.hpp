#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"

namespace odmr::journal {

using EntryId = std::int64_t;

/// Who offered mail from whom for whom. Beside its bytes that is what two offers of one message agree in.
struct Address {
  std::string_view provider;
  std::string_view reverse_path;  ///< in angle brackets
  std::string_view recipient;     ///< mailbox, its domain in lower case
};

/// A message in a mailbox at a provider, by the names that the server has for it. Who has such a name needs no digest
/// to know a message again.
struct Origin {
  std::string provider;  ///< its name in the configuration
  std::string mailbox;   ///< "pop3:USER"; "imap:USER/FOLDER;UIDVALIDITY"
  std::string uid;       ///< of POP3's UIDL, or IMAP's UID; empty: the server gives none

  bool is_known() const { return !uid.empty(); }
};

/// A message from a mailbox of which the provider may have put several copies there, one for each recipient.
struct CopyKey {
  Origin mailbox;      ///< its uid is of no meaning here
  std::string header;  ///< digest of what all copies have in common in their headers
  std::string whole;   ///< digest of that and the body; empty while that is not known
};

/// What the provider was told about the transaction that an entry comes from.
enum class Answer : std::int8_t {
  none = 0,      ///< our dot may have gone out: nobody knows yet
  accepted = 1,  ///< 2xx: it will offer the message again only if it did not read that
  put_off = 2,   ///< 4xx, for the sake of other recipients: it will offer it again
};

/// What became of the message for the recipient.
enum class Fate : std::int8_t {
  delivered = 0,  ///< the target has it
  bounced = 1,    ///< the target refused it for good, and its sender is told by us
  kept = 2,       ///< we keep it until the target takes it
};

/// Entries to be written before the target hears our final dot.
struct Intent {
  std::string provider;
  std::string reverse_path;
  std::vector<std::string> recipients;
  std::string digest;  ///< SHA-256 of the content, 32 octets
  std::uint64_t size = 0;
  std::string connection;  ///< the name of the one it came on
  Origin origin = {};      ///< of a message from a mailbox
};

/// What a transaction came to, to be on disk before the provider hears it.
struct Verdict {
  struct Had {
    EntryId id = 0;
    Fate fate = Fate::delivered;
  };
  std::string connection;
  Answer answer = Answer::accepted;
  std::vector<Had> had;          ///< entries of recipients who have the message, now or from an offer before
  std::string kept;              ///< the id under which we keep it, for those of Fate::kept
  std::vector<EntryId> not_had;  ///< of those who do not
  /// Of a message from a mailbox with which all is done: it is remembered as collected, and its entries are not needed
  /// any more.
  std::optional<Origin> collected = {};
  /// Of a message that has copies, perhaps: who has got one now, or had. Remembered as long as entries are, whether the
  /// message itself is there or not.
  struct Copied {
    CopyKey key;
    std::vector<std::string> recipients;
  };
  std::optional<Copied> copied = {};
};

/// An entry, for who looks.
struct Entry {
  EntryId id = 0;
  std::string provider;
  std::string reverse_path;
  std::string recipient;
  std::string digest;
  std::uint64_t size = 0;
  std::string connection;
  Answer answer = Answer::none;
  Fate fate = Fate::delivered;
  std::string kept;          ///< of Fate::kept
  WallTime time;             ///< of the answer
  std::string mailbox = {};  ///< as Origin has it; empty: it was offered, not collected
  std::string uid = {};
};

}  // namespace odmr::journal
