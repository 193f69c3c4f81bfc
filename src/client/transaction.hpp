#pragma once

#include <deque>
#include <memory>
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

/// Asked when all of a message but its end has gone, or could go: what the final dot has to wait for.
class DotGate {
 public:
  virtual ~DotGate() = default;
  /// Comes back when the dot may follow. After an error it never does: the conversation is over.
  virtual net::Task<Result<void>> open() = 0;
};

struct TransactionPatience {
  Duration command = std::chrono::minutes(5);
  Duration data = std::chrono::minutes(2);    ///< the reply to DATA
  Duration final = std::chrono::minutes(10);  ///< the reply to the final dot
};

/// What became of a message. A recipient without a reply has `broken` to tell of it; one with a reply may have both.
struct Delivery {
  /// Per recipient, in order: the last word about it. No value: the conversation broke before there was one.
  std::vector<std::optional<smtp::Reply>> recipients;
  std::vector<bool> accepted;          ///< likewise: whether RCPT took it
  std::optional<smtp::Reply> mail;     ///< the reply to MAIL; none where it was not said, or not answered
  std::optional<smtp::Reply> closing;  ///< the 421 that ended the conversation; `broken` is set too
  /// Set when the conversation cannot go on; also when the content could not be read (the dot was not sent then).
  std::optional<Error> broken;
  /// The final dot went out and its answer never came: nobody can know whether the message was taken.
  bool in_doubt = false;
};

/// One mail transaction (RFC 5321 3.3), its commands in one group where the peer takes PIPELINING (RFC 2920). Asks only
/// for what the peer offers: SIZE, BODY, SMTPUTF8 and the DSN parameters are left out otherwise. What cannot go is
/// refused here, without a word to the peer: 550 5.6.7 for a message that needs SMTPUTF8 where it is not offered (RFC
/// 6531 3.5), 552 5.3.4 for one that is larger than the SIZE offered (RFC 1870 6.1). A small message and its dot are
/// one write, behind the gate; a null `gate` is always open.
net::Task<Delivery> transact(Session& session, const Envelope& envelope, Content& content,
                             const TransactionPatience& patience, DotGate* gate = nullptr);

/// Several transactions under way on one connection, whose peer takes PIPELINING and CHUNKING (RFC 2920, RFC 3030):
/// each is written whole, message included, without waiting for the answers to those before it. What the answers are is
/// told in the same order. Small messages are meant: each is held in memory while it is written.
class Pipeline {
 public:
  /// Both must outlive it. Nothing else may be said on the connection while a transaction is under way.
  Pipeline(Session& session, const TransactionPatience& patience);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  static bool is_possible(const Session& session);

  /// Writes a transaction. Whatever comes of it is told by finish(), also when its content cannot be read, and when
  /// there is no line any more to write it on.
  net::Task<> begin(const Envelope& envelope, Content& content);
  /// What came of the oldest one under way, as of transact().
  net::Task<Delivery> finish();

  /// Replies that are still to come, for all of them.
  std::size_t replies_due() const;
  /// Whether some word of the peer's has come already, so that finish() may not have to wait.
  net::Task<bool> has_heard();

 private:
  class Entry;
  Session& session_;
  const TransactionPatience& patience_;
  std::deque<std::unique_ptr<Entry>> entries_;
  std::optional<Error> silent_;  // why nothing more is said
  std::optional<Error> deaf_;    // why nothing more is heard
  bool has_begun_ = false;
};

}  // namespace odmr::client
