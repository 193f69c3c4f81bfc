#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "net/digest_thread.hpp"
#include "receive/connection.hpp"
#include "receive/guard.hpp"
#include "server/mail_session.hpp"

namespace odmr::receive {

/// The handler of the turned line: lets each message through guard and target, while it arrives, and answers for it.
///
/// Nobody gets a message twice. For a recipient for whom the journal knows a message that the provider may offer again
/// the target is not asked at once: he is accepted, the content is put by, and only when its digest is another one he
/// goes to the target. All other messages stream.
///
/// While the target and the disk have a message whose content has come, the next one goes to another connection with
/// the target. Whether two of the very same bytes are one that comes twice is decided when the first is answered for.
///
/// With a shelf, what the target puts off is kept there, and the provider hears 250: some providers offer the message
/// that was put off first every time, so that the others starve.
class Reception final : public server::MailHandler {
 public:
  Reception(const ReceptionOptions& options, History& history, const Guard& guard, deliver::Connections& target,
            journal::Journal& journal, BounceKeeper& bounces, Shelf* shelf, FileOps& files, Clock& clock, Log& log);

  /// Before on_mail(), of a message from a mailbox: the name that the server has for it; empty where it has none.
  void comes_from(std::string uid) { uid_ = std::move(uid); }
  /// Likewise, of one of which the provider may have put several copies there: a digest of what is the same in all
  /// their headers. Then comes_whole() must be called.
  void may_be_copy(std::string header) { copies_ = std::move(header); }
  /// Before on_end(): a digest of that and the body.
  void comes_whole(std::string digest);
  /// Of a message from a mailbox that is not looked at, since it is too large.
  void on_left_there(const std::string& what, const smtp::Reply& reply);

  void on_ahead(smtp::Ahead&& ahead) override;
  net::Task<smtp::Reply> on_mail(const smtp::MailCommand& mail, const server::Hello& hello) override;
  net::Task<smtp::Reply> on_rcpt(const smtp::RcptCommand& rcpt) override;
  void on_mail_refused(std::string_view argument, const smtp::Reply& reply) override;
  void on_rcpt_refused(std::string_view argument, const smtp::Reply& reply) override;
  net::Task<std::optional<smtp::Reply>> on_data() override;
  net::Task<> on_content(std::string_view piece) override;
  net::Task<server::Answer> on_end(server::ContentEnd end, server::Peer& peer) override;
  bool goes_on_meanwhile() const override;
  void on_answers_read() override;
  net::Task<> on_abandon() override;
  /// The breaker, or the state directory is out of use.
  bool has_had_enough() const override;
  /// The budgets.
  TimePoint takes_mail_until() const override;

  const Counter& counter() const { return connection_.counter; }
  /// The breaker: the target has refused everything so far.
  bool is_target_at_fault() const;
  /// The session has had its bytes, or its time.
  bool is_budget_used_up() const;
  /// What could not be read or written of journal, bounces and copies: the state directory's trouble.
  const std::optional<Error>& state_error() const { return connection_.state_error; }

 private:
  // --- the envelope
  void tell_target_ahead();
  Result<bool> may_be_had(const Recipient& recipient);
  net::Task<> ask_for(Recipient& recipient);
  Result<void> recall_parts();
  const journal::Part* part_of(const Recipient& recipient) const;
  net::Task<smtp::Reply> ask_target(const smtp::MailCommand& mail);
  net::Task<> decide_on(Recipient& recipient);
  smtp::Reply said_of(const Recipient& recipient) const;
  void note_refused_recipient(const std::string& path, const smtp::Reply& reply, journal::RecipientReceipt::By by);
  void log_refused_recipient(const std::string& path, const smtp::Reply& reply);

  std::optional<smtp::Reply> begin_copy();
  net::Task<server::Answer> conclude(std::unique_ptr<Message> message, server::ContentEnd end, server::Peer& peer);
  void let_go(std::unique_ptr<Message> message);
  void count_recipients_refused();

  Connection connection_;
  const Guard& guard_;
  net::DigestThread digester_;
  std::unique_ptr<Message> message_;  // the one that is being said
  smtp::Ahead ahead_;                 // of the message that comes
  std::uint64_t sequence_ = 0;
  std::string uid_;                   // of the message that comes, in its mailbox
  std::string copies_;                // likewise, what its copies have in common; empty: it has none
  std::vector<journal::Part> parts_;  // who has the message that is being said already

 public:
  ~Reception() override;
};

}  // namespace odmr::receive
