#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "deliver/connections.hpp"
#include "journal/journal.hpp"
#include "receive/message.hpp"
#include "receive/shelf.hpp"
#include "receive/tally.hpp"

namespace odmr::receive {

/// A recipient refused for good after another one of the same message was accepted: the provider hears 250, so a bounce
/// is ours to send. Kept on disk until it is.
struct BounceRecord {
  smtp::Path reverse_path;
  struct Failed {
    smtp::Mailbox recipient;
    smtp::Reply reply;
  };
  std::vector<Failed> failed;
  std::string header;  ///< of the message, with our trace, cut at 64 KiB
};

/// Where bounce records are kept.
class BounceKeeper {
 public:
  virtual ~BounceKeeper() = default;
  /// On disk when it returns. A null reverse-path must be kept too: somebody has to see it.
  virtual Result<void> keep(const BounceRecord& record) = 0;
};

struct ReceptionOptions {
  std::string hostname;           ///< in Received
  std::string provider;           ///< its name in the configuration, and so in the journal
  std::string provider_address;   ///< "192.0.2.1:366"
  std::string tls;                ///< "TLSv1.3 TLS_AES_256_GCM_SHA384", empty in clear text
  std::string connection;         ///< its name in Received, the log and the journal; no other ever has it
  std::string scratch_directory;  ///< for a copy of what may have been delivered before
  std::size_t max_hops = 100;
  std::uint64_t max_size = 0;                             ///< of a message; 0: any
  std::size_t header_looked_at = std::size_t{64} * 1024;  ///< what a bounce returns of it
  std::uint64_t max_size_for_now = 0;  ///< of a message that this line can afford; larger ones stay: 452. 0: any
  std::uint64_t max_bytes = 0;         ///< of content in a session, then 421; 0: any
  TimePoint until = TimePoint::max();  ///< then 421
  bool soft_bounce = false;            ///< nothing is refused for good: 5xx becomes 4xx
  bool is_target_down = false;         ///< it is not asked; for who keeps here what is put off
  std::function<void(const Tally&, std::uint64_t bytes_of_this_message)> on_progress;

  /// Mail comes from a mailbox, where it stays until we delete it: nobody but us hears what is said of a recipient.
  struct Mailbox {
    std::string name;              ///< as journal::Origin has it
    std::string with;              ///< the protocol, in Received: "POP3S"
    bool bounces_refused = false;  ///< what the target refuses for good is not left there: its sender is told
  };
  std::optional<Mailbox> mailbox = {};
};

/// What the messages of one connection with the provider have in common, and its books.
class Connection {
 public:
  const ReceptionOptions& options;
  History& history;
  deliver::Connections& target;
  journal::Journal& journal;
  BounceKeeper& bounces;
  Shelf* shelf;  ///< null: the provider keeps what is put off
  FileOps& files;
  Clock& clock;
  Log& log;
  Counter counter{history};
  std::optional<Error> state_error = {};  ///< of journal, bounces or copies
  /// Those that have come whole and are not answered for, in their order.
  std::vector<const Message*> under_way = {};

  /// A refusal of ours, or of the target's, as the provider is to hear it.
  smtp::Reply soft(smtp::Reply reply) const;
  /// What the provider hears when the state directory is at fault; that is remembered.
  smtp::Reply no_room(const Error& trouble);
  std::optional<smtp::Reply> too_large(std::uint64_t size) const;
  journal::Address address_of(const Message& message, const Recipient& recipient) const;

  /// From here on the target hears the message.
  net::Task<std::optional<smtp::Reply>> begin_content(Message& message) const;
  /// Our Received field.
  std::string trace(const Message& message, const std::vector<smtp::Mailbox>& recipients) const;
  /// Whether one that came before has the very same content, and is not answered for.
  bool has_twin(const Message& message) const;

  // --- the books

  /// The content has come: it and its recipients tell the message from others.
  void count_content_refusal(const Message& message, const smtp::Reply& reply);
  void log_message(Message& message, const smtp::Reply& reply, std::uint64_t size);
  /// What came of the message, for who asks later.
  void note_receipt(Message& message, const smtp::Reply& reply, std::uint64_t size);
  /// Likewise of what was refused before there was a message.
  void note_refused_mail(std::string_view argument, const smtp::Reply& reply);

 private:
  journal::MessageReceipt::Fate fate(const Message& message, const smtp::Reply& reply) const;
};

}  // namespace odmr::receive
