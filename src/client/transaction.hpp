#pragma once

#include <optional>
#include <string>
#include <vector>

#include "client/session.hpp"
#include "smtp/command.hpp"

namespace odmr::client {

struct Recipient {
  smtp::Mailbox mailbox;
  std::string notify;  ///< RFC 3461, empty without
  std::string orcpt;   ///< RFC 3461, empty without
};

struct Envelope {
  smtp::Path reverse_path;
  smtp::MailOptions options;
  std::vector<Recipient> recipients;
};

/// Where a message comes from: CRLF line ends, no dot-stuffing.
class Content {
 public:
  virtual ~Content() = default;
  /// At most `size` bytes; 0 at the end.
  virtual Result<std::size_t> read(char* into, std::size_t size) = 0;
};

struct TransactionPatience {
  Duration command = std::chrono::minutes(5);
  Duration data = std::chrono::minutes(2);    ///< the reply to DATA
  Duration final = std::chrono::minutes(10);  ///< the reply to the final dot
};

/// What became of a message. Exactly one of a recipient's reply and `broken` tells of each recipient.
struct Delivery {
  /// Per recipient, in order: the last word about it. No value: the conversation broke before there was one.
  std::vector<std::optional<smtp::Reply>> recipients;
  /// Set when the conversation cannot go on; also when the content could not be read (the dot was not sent then).
  std::optional<Error> broken;
  /// The final dot went out and its answer never came: nobody can know whether the message was taken.
  bool in_doubt = false;
};

/// One mail transaction (RFC 5321 3.3), its commands in one group where the peer takes PIPELINING (RFC 2920). Asks only
/// for what the peer offers: SIZE, BODY, SMTPUTF8 and the DSN parameters are left out otherwise. A message that needs
/// SMTPUTF8 where it is not offered is refused here, with 550 5.6.7 (RFC 6531 3.5).
net::Task<Delivery> transact(Session& session, const Envelope& envelope, Content& content,
                             const TransactionPatience& patience);

}  // namespace odmr::client
