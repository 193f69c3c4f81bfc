#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "deliver/target.hpp"
#include "journal/journal.hpp"
#include "receive/guard.hpp"
#include "server/mail_session.hpp"

namespace odmr::receive {

/// What came in, as `--json` counts it: `messages` were newly taken for at least one recipient; of the others each is
/// in exactly one of the last three.
struct Tally {
  std::uint64_t messages = 0;
  std::uint64_t recipients = 0;
  std::uint64_t bytes = 0;  ///< as RFC 1870 counts, without our own lines
  std::uint64_t rejected = 0;
  std::uint64_t deferred = 0;
  std::uint64_t duplicates = 0;
};

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

/// What a session remembers from one of its connections to the next.
struct History {
  std::set<std::string> refused;  ///< digests of what was refused for good
  bool has_taken = false;         ///< the target has taken a message
  std::size_t refused_first = 0;  ///< messages that it refused for good before it took one
};

struct ReceptionOptions {
  std::string hostname;           ///< in Received
  std::string provider;           ///< its name in the configuration, and so in the journal
  std::string provider_address;   ///< "192.0.2.1:366"
  std::string tls;                ///< "TLSv1.3 TLS_AES_256_GCM_SHA384", empty in clear text
  std::string connection;         ///< its name in Received, the log and the journal; no other ever has it
  std::string scratch_directory;  ///< for a copy of what may have been delivered before
  std::size_t max_hops = 100;
  /// A target that refuses so many messages at first, whatever they are, is at fault itself: the line is closed before
  /// the provider bounces all the others.
  std::size_t breaker = 5;
  std::function<void(const Tally&, std::uint64_t bytes_of_this_message)> on_progress;
};

/// The handler of the turned line: lets each message through guard and target, while it arrives, and answers for it.
///
/// Nobody gets a message twice. For a recipient for whom the journal knows a message that the provider may offer again
/// the target is not asked at once: he is accepted, the content is put by, and only when its digest is another one he
/// goes to the target. All other messages stream.
class Reception final : public server::MailHandler {
 public:
  Reception(const ReceptionOptions& options, History& history, const Guard& guard, deliver::Target& target,
            journal::Journal& journal, BounceKeeper& bounces, FileOps& files, Clock& clock, Log& log);

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

  const Tally& tally() const { return tally_; }
  /// Messages that got a final answer: 250, or a 5xx to one that was not refused before in this run.
  std::uint64_t final_answers() const { return final_answers_; }
  /// Whether any recipient, or message, was answered 4xx.
  bool has_put_off() const { return has_put_off_; }
  /// The breaker: the target has refused everything so far.
  bool is_target_at_fault() const;
  /// What could not be read or written of journal, bounces and copies: the state directory's trouble.
  const std::optional<Error>& state_error() const { return state_error_; }

 private:
  struct Message;
  struct Recipient;

  journal::Address address_of(const Recipient& recipient) const;
  net::Task<smtp::Reply> answer(const server::ContentEnd& end, server::Peer& peer);
  Result<void> match();
  net::Task<> ask_for_withheld();
  net::Task<std::optional<smtp::Reply>> begin_content();
  net::Task<> pass_copy();
  net::Task<smtp::Reply> hand_over(server::Peer& peer);
  net::Task<Result<void>> intend();
  net::Task<> withdraw();
  net::Task<smtp::Reply> give_up_for(const Error& trouble);
  smtp::Reply no_room(const Error& trouble);
  net::Task<smtp::Reply> settle();
  smtp::Reply verdict(journal::Verdict& settled);
  Result<void> keep_bounces();
  void count(const smtp::Reply& reply);

  net::Task<smtp::Reply> refuse_content(const smtp::Reply& reply);
  void note_target_refusal(const smtp::Reply& reply);
  std::string trace(const std::vector<smtp::Mailbox>& recipients);
  void count_refusal(const smtp::Reply& reply, const std::string& fingerprint);
  void count_content_refusal(const smtp::Reply& reply);
  void note_refused_recipient(std::string path, const smtp::Reply& reply, journal::RecipientReceipt::By by);
  void count_recipients_refused();
  void log_message(const smtp::Reply& reply, std::uint64_t size);
  void note_receipt(const smtp::Reply& reply, std::uint64_t size);

  const ReceptionOptions& options_;
  History& history_;
  const Guard& guard_;
  deliver::Target& target_;
  journal::Journal& journal_;
  BounceKeeper& bounces_;
  FileOps& files_;
  Clock& clock_;
  Log& log_;
  std::unique_ptr<Message> message_;
  Tally tally_;
  std::uint64_t final_answers_ = 0;
  std::uint64_t sequence_ = 0;
  bool has_put_off_ = false;
  std::optional<Error> state_error_;

 public:
  ~Reception() override;
};

}  // namespace odmr::receive
