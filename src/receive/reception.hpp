#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "deliver/target.hpp"
#include "journal/journal.hpp"
#include "net/digest_thread.hpp"
#include "receive/guard.hpp"
#include "receive/shelf.hpp"
#include "receive/tally.hpp"
#include "server/mail_session.hpp"

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
};

/// The handler of the turned line: lets each message through guard and target, while it arrives, and answers for it.
///
/// Nobody gets a message twice. For a recipient for whom the journal knows a message that the provider may offer again
/// the target is not asked at once: he is accepted, the content is put by, and only when its digest is another one he
/// goes to the target. All other messages stream.
///
/// With a shelf, what the target puts off is kept there, and the provider hears 250: some providers offer the message
/// that was put off first every time, so that the others starve.
class Reception final : public server::MailHandler {
 public:
  Reception(const ReceptionOptions& options, History& history, const Guard& guard, deliver::Target& target,
            journal::Journal& journal, BounceKeeper& bounces, Shelf* shelf, FileOps& files, Clock& clock, Log& log);

  void on_ahead(smtp::Ahead ahead) override;
  net::Task<smtp::Reply> on_mail(const smtp::MailCommand& mail, const server::Hello& hello) override;
  net::Task<smtp::Reply> on_rcpt(const smtp::RcptCommand& rcpt) override;
  void on_mail_refused(std::string_view argument, const smtp::Reply& reply) override;
  void on_rcpt_refused(std::string_view argument, const smtp::Reply& reply) override;
  net::Task<std::optional<smtp::Reply>> on_data() override;
  net::Task<> on_content(std::string_view piece) override;
  net::Task<smtp::Reply> on_end(const server::ContentEnd& end, server::Peer& peer) override;
  void on_answers_read() override;
  net::Task<> on_abandon() override;
  /// The breaker, or the state directory is out of use.
  bool has_had_enough() const override;
  /// The budgets.
  TimePoint takes_mail_until() const override;

  const Counter& counter() const { return counter_; }
  /// The breaker: the target has refused everything so far.
  bool is_target_at_fault() const;
  /// The session has had its bytes, or its time.
  bool is_budget_used_up() const;
  /// What could not be read or written of journal, bounces and copies: the state directory's trouble.
  const std::optional<Error>& state_error() const { return state_error_; }

 private:
  struct Message;
  struct Recipient;
  struct Verdict;

  // --- the envelope
  journal::Address address_of(const Recipient& recipient) const;
  void tell_target_ahead();
  Result<bool> may_be_had(const Recipient& recipient);
  net::Task<smtp::Reply> ask_target(const smtp::MailCommand& mail);
  net::Task<> decide_on(Recipient& recipient);
  smtp::Reply said_of(const Recipient& recipient) const;
  void note_refused_recipient(const std::string& path, const smtp::Reply& reply, journal::RecipientReceipt::By by);
  void log_refused_recipient(const std::string& path, const smtp::Reply& reply);

  // --- the content
  std::optional<smtp::Reply> begin_copy();
  net::Task<std::optional<smtp::Reply>> begin_content();
  net::Task<> give_up_content(const smtp::Reply& reply);
  net::Task<smtp::Reply> answer(const server::ContentEnd& end, server::Peer& peer);
  net::Task<smtp::Reply> refuse_content(const smtp::Reply& reply);
  Result<void> match();
  net::Task<> ask_for_withheld();
  net::Task<> pass_copy();

  // --- the end
  net::Task<smtp::Reply> hand_over(server::Peer& peer);
  net::Task<Result<void>> intend();
  net::Task<> withdraw();
  net::Task<smtp::Reply> give_up_for(const Error& trouble);
  std::optional<smtp::Reply> too_large(std::uint64_t size) const;
  smtp::Reply no_room(const Error& trouble);
  net::Task<smtp::Reply> settle(server::Peer& peer);
  net::Task<Result<std::unique_ptr<Shelf::Place>>> put_on_shelf();
  net::Task<smtp::Reply> write_down(Verdict& verdict, Shelf::Place* place);
  Verdict verdict(bool keeps_here);
  std::vector<smtp::Reply> each_answer(bool keeps_here) const;
  Result<void> keep_bounces();

  // --- the books
  void count(const Verdict& verdict);
  void count_content_refusal(const smtp::Reply& reply);
  void count_recipients_refused();
  smtp::Reply soft(smtp::Reply reply) const;
  std::string trace(const std::vector<smtp::Mailbox>& recipients);
  void log_message(const smtp::Reply& reply, std::uint64_t size);
  void note_receipt(const smtp::Reply& reply, std::uint64_t size);
  journal::MessageReceipt::Fate fate(const smtp::Reply& reply) const;

  const ReceptionOptions& options_;
  History& history_;
  const Guard& guard_;
  deliver::Target& target_;
  journal::Journal& journal_;
  BounceKeeper& bounces_;
  Shelf* shelf_;  // null: the provider keeps what is put off
  FileOps& files_;
  Clock& clock_;
  Log& log_;
  net::DigestThread digester_;
  std::unique_ptr<Message> message_;
  smtp::Ahead ahead_;  // of the message that comes
  Counter counter_;
  std::uint64_t sequence_ = 0;
  std::optional<Error> state_error_;

 public:
  ~Reception() override;
};

}  // namespace odmr::receive
