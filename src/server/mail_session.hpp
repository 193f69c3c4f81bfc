#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/stop.hpp"
#include "server/channel.hpp"
#include "smtp/command.hpp"

namespace odmr::server {

/// What the EHLO reply offers beside PIPELINING, 8BITMIME and ENHANCEDSTATUSCODES, which are always there.
struct Offer {
  std::uint64_t size = 0;  ///< SIZE; 0: no fixed limit
  bool smtputf8 = false;
  bool dsn = false;
  bool prdr = false;      ///< draft-hall-prdr
  bool chunking = false;  ///< RFC 3030, without BINARYMIME
  bool once = false;      ///< XONCE, our own: a message that is offered again after a line broke is not taken twice
};

/// The peer, as far as a Received line tells of it.
struct Hello {
  std::string name;  ///< as given in EHLO or HELO
  bool is_extended = false;
};

/// The end of a message's content.
struct ContentEnd {
  std::uint64_t size = 0;          ///< as RFC 1870 counts: CRLFs in, dot-stuffing out
  bool has_stray_newline = false;  ///< a lone CR or LF was in it
};

/// The other end, while its message is being dealt with.
class Peer {
 public:
  virtual ~Peer() = default;
  /// False: the line is cut, or ended without a QUIT, so that nobody will read the answer. A line that is cut in
  /// silence is not seen.
  virtual net::Task<bool> is_there() = 0;
};

/// What is said of a message.
struct Answer {
  Answer() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): a reply is an answer
  Answer(smtp::Reply whole) : reply(std::move(whole)) {}
  smtp::Reply reply;
  /// One for each accepted recipient, in their order, where they differ: said before it where MAIL asked for PRDR, and
  /// in its place under LMTP.
  std::vector<smtp::Reply> each;
};

/// Who decides over mail. Each step gives the reply to its command; whatever it is, the session goes on. Nothing here
/// can end a transaction by closing: a handler that has failed says so at on_end().
class MailHandler {
 public:
  virtual ~MailHandler() = default;

  /// Before on_mail(): the commands that are here already, none of which the session will refuse by itself. Each is
  /// asked about all the same when its turn comes, and nothing more may be here: it is for who can then say more at
  /// once to somebody else. Not asked about is what follows a MAIL that is refused.
  virtual void on_ahead(smtp::Ahead&& /*ahead*/) {}
  /// MAIL, syntactically sound and within the offer. 2xx opens the transaction.
  virtual net::Task<smtp::Reply> on_mail(const smtp::MailCommand& mail, const Hello& hello) = 0;
  virtual net::Task<smtp::Reply> on_rcpt(const smtp::RcptCommand& rcpt) = 0;
  /// MAIL or RCPT that the session itself refused (too big, not offered, no address): the provider makes the same of it
  /// as of a refusal by the handler. `argument` is what followed the verb.
  virtual void on_mail_refused(std::string_view argument, const smtp::Reply& reply) = 0;
  virtual void on_rcpt_refused(std::string_view argument, const smtp::Reply& reply) = 0;
  /// DATA, or the first BDAT, with at least one recipient accepted. No value: content follows; a reply refuses.
  virtual net::Task<std::optional<smtp::Reply>> on_data() = 0;
  /// A next piece of the message.
  virtual net::Task<> on_content(std::string_view piece) = 0;
  /// All of it has come: the answer to the final dot, or to BDAT LAST. `peer` outlives it.
  virtual net::Task<Answer> on_end(ContentEnd end, Peer& peer) = 0;
  /// Asked before on_end(): whether other transactions may be begun while that works. Then on_end() itself, before the
  /// task that it gives is awaited, has put the message out of their way. Answers are given in the order of messages.
  virtual bool goes_on_meanwhile() const { return false; }
  /// The peer has certainly read every answer to on_end() so far: it has sent what it could not have sent before.
  virtual void on_answers_read() {}
  /// The transaction is over without its message: RSET, EHLO, QUIT, or the line is gone. What came of the content so
  /// far must never be delivered.
  virtual net::Task<> on_abandon() = 0;
  /// Asked between transactions: whether the session had better end, with 421.
  virtual bool has_had_enough() const { return false; }
  /// A budget: from then on no other transaction is begun. MAIL hears 421, which on_mail_refused() is told, and a peer
  /// that keeps the line without it is not waited for. Who has nothing more says QUIT, as ever.
  virtual TimePoint takes_mail_until() const { return TimePoint::max(); }
};

/// A line that the peer keeps while it has no mail for us (XKEEP, our own). It says NOOP when it has sent all, and then
/// again and again. Between a NOOP and the next MAIL the line rests: nothing is under way on it.
class KeptLine {
 public:
  virtual ~KeptLine() = default;
  /// Asked for: the line is to end as soon as it rests.
  virtual Stop& enough() = 0;
  /// It rests. Said at each NOOP.
  virtual net::Task<> rests() = 0;
  /// It rests no more: MAIL has come. Errors: no mail can be taken; 421 says so, and ends the session.
  virtual net::Task<Result<void>> wakes() = 0;
};

struct MailSessionOptions {
  std::string hostname;
  Offer offer;
  Duration first_command = std::chrono::minutes(10);
  Duration idle = std::chrono::minutes(5);   ///< between transactions
  Duration data = std::chrono::minutes(10);  ///< silence inside a transaction
  Duration silence = std::chrono::minutes(2);
  KeptLine* kept = nullptr;              ///< null: no line is kept
  bool is_lmtp = false;                  ///< RFC 2033: LHLO, and a reply to the message for each recipient
  bool bare_names = false;               ///< a name without domain is an address too, as local programs give it
  bool soft_bounce = false;              ///< what is refused here for good is refused for now (smtp::softened)
  bool mend_stray_newlines = false;      ///< a lone CR or LF becomes a space, and is no reason to refuse
  std::size_t longest_line = 2048;       ///< more than RFC 5321 4.5.3.1.4 and all extensions ask for
  std::size_t most_recipients = 1000;    ///< accepted in one transaction; then 452 (RFC 5321 4.5.3.1.10)
  std::size_t most_errors = 100;         ///< bad commands before 421, between transactions
  bool limits_cut_transactions = false;  ///< most_errors also inside one: for callers who are no relay of others' mail
  std::size_t most_idle_commands = 100;  ///< NOOP, RSET, EHLO … from one transaction to the next, before 421
  /// Octets a second. A message that comes more slowly, over ten minutes or `data` where that is longer, counts as one
  /// that has stopped coming. 0: any.
  std::uint64_t least_rate = 0;
};

/// How a session came to its end.
struct SessionEnd {
  enum class How {
    quit,      ///< QUIT, in clear text under TLS too (Exim)
    lost,      ///< EOF, reset, TLS failure, or silence beyond patience
    stopped,   ///< we said 421, between transactions: a signal, or too many errors
    made_way,  ///< likewise, on a line that was kept and had nothing to do
    left,      ///< we closed inside a transaction: the end of the grace, or a second signal
  };
  How how = How::lost;
  bool inside_transaction = false;
  std::size_t transactions = 0;  ///< MAIL commands accepted
  std::string text;              ///< why, in words
};

/// Speaks SMTP, or LMTP, as a server, from the greeting to the end, over a line that is ours alone (no STARTTLS, no
/// AUTH: they have happened, or are not wanted). Ends the connection.
net::Task<SessionEnd> serve_mail(net::Stream stream, MailHandler& handler, const MailSessionOptions& options, Log& log,
                                 Stop& stop);

/// The mail in a conversation that has other commands, too.
struct MailPart {
  /// No value: the conversation goes on. Of SessionEnd::How::quit and stopped the last reply is said already.
  std::optional<SessionEnd> end;
  smtp::Command next;  ///< the first command that is none of mail's, where it goes on; between transactions
};

/// Speaks as serve_mail() does from the MAIL `first` on, in a conversation in which `hello` was said. Neither greets
/// nor ends the connection. EHLO is one of the other commands: the reply to it says more than we know.
net::Task<MailPart> serve_mail_part(Channel& channel, const Hello& hello, smtp::Command first, MailHandler& handler,
                                    const MailSessionOptions& options, Stop& stop);

}  // namespace odmr::server
