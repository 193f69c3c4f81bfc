#include "app/notices.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "app/header_of.hpp"
#include "base/ascii.hpp"
#include "mail/notice.hpp"
#include "net/digest.hpp"
#include "queue/attributes.hpp"

namespace odmr::app {

namespace {

using net::Task;
using smtp::Reply;
using spool::attribute;
using How = queue::Queue::NoticeOutcome::How;
using About = queue::Notice::About;

constexpr std::size_t k_at_once = 100;
constexpr std::size_t k_piece = std::size_t{64} * 1024;

// What a try to hand a notice over came to. No reply: the message's own file could not be read.
struct Try {
  enum class Where { mail, rcpt, content };
  Where where = Where::content;
  std::optional<Reply> reply;
};

class Notices {
 public:
  Notices(queue::Queue& queue, const deliver::TargetOptions& target, const NoticeOptions& options,
          net::Network& network, net::Worker& disk, Log& log, Stop& stop, FileOps& files)
      : queue_(queue),
        hostname_(target.hostname),
        options_(options),
        clock_(network.clock()),
        disk_(disk),
        log_(log),
        stop_(stop),
        target_(deliver::make_target(target, network, files, log, stop)) {}

  Task<NoticesReport> run() {
    bool is_more = co_await can_note();
    while (is_more) is_more = co_await next_few();
    co_await target_->close();
    co_return report_;
  }

 private:
  // A notice that went, and cannot be noted, would go again with every run.
  Task<bool> can_note() {
    const auto due = queue_.has_notices_due(options_.all);
    if (!due) co_return has_failed(due.error());
    if (!*due) co_return false;
    Result<void> tried;
    std::function<void()> work = [&] { tried = queue_.try_note(); };
    co_await disk_.run(std::move(work));
    if (!tried) co_return has_failed(tried.error());
    co_return true;
  }

  // Gives whether to go on.
  Task<bool> next_few() {
    if (stop_.requested()) co_return false;
    const auto due = queue_.notices_due(options_.all, k_at_once);
    if (!due) co_return has_failed(due.error());
    for (const auto& id : *due) {
      if (stop_.requested()) co_return false;
      auto notice = queue_.take_notice(id);
      if (!notice) co_return has_failed(notice.error());
      if (!*notice) continue;
      const bool goes_on = co_await tell(**notice);
      if (!goes_on) co_return false;
    }
    co_return !due->empty();
  }

  bool has_failed(const Error& error) {
    log_.error("senders cannot be told: the queue is not to be used", {{"why", error.text}});
    report_.state_error = error;
    return false;
  }

  Task<bool> tell(queue::Notice& notice) {
    queue::Queue::NoticeOutcome outcome;
    const bool goes_on = co_await attempt(notice, outcome);
    Result<void> settled;
    std::function<void()> work = [&] { settled = queue_.settle_notice(notice, outcome); };
    co_await disk_.run(std::move(work));
    count(notice, outcome);
    if (!settled) co_return has_failed(settled.error());
    co_return goes_on;
  }

  void count(const queue::Notice& notice, const queue::Queue::NoticeOutcome& outcome) {
    const auto& to = notice.letter.message.envelope().reverse_path;
    const std::string about = notice.about == About::failure ? "failure" : "delay";
    if (outcome.how != How::told && report_.why.empty()) report_.why = notice.letter.id + ": " + outcome.reply;
    if (outcome.how == How::told) {
      ++report_.told;
      log_.info("sender told", {{"id", notice.letter.id}, {"about", about}, {"to", to}});
    } else if (outcome.how == How::put_off) {
      ++report_.put_off;
      log_.warn("sender not told yet",
                {{"id", notice.letter.id}, {"about", about}, {"to", to}, {"reply", outcome.reply}});
    } else {
      ++report_.undeliverable;
      log_.error("the sender of a message cannot be told what became of it; it stays in the queue to be looked at",
                 {{"id", notice.letter.id}, {"about", about}, {"to", to}, {"reply", outcome.reply}});
    }
  }

  // Gives whether there is any use in going on with the next notice.
  Task<bool> attempt(queue::Notice& notice, queue::Queue::NoticeOutcome& outcome) {
    const auto& envelope = notice.letter.message.envelope();
    const auto addressee = smtp::parse_mailbox(envelope.reverse_path);
    if (!addressee) {  // the null reverse-path above all: RFC 5321 6.1
      outcome = {How::undeliverable, "the message has no sender to whom a notice could go"};
      co_return true;
    }
    const auto ready = co_await make_ready();
    if (!ready) {
      outcome = {How::put_off, "the local target is not ready: " + ready.error().text};
      co_return false;
    }
    if (addressee->needs_smtputf8() && !target_->abilities().smtputf8) {
      outcome = {How::undeliverable, "the sender's address is not ASCII, and the local target does not take that"};
      co_return true;
    }
    const auto header = header_of(notice.letter.message, Damaged::gives_what_there_is);
    if (!header) {
      outcome = {How::put_off, "the message cannot be read: " + header.error().text};
      co_return true;
    }
    auto tried = co_await hand_over(notice, *addressee, *header, returns_whole(notice));
    if (is_refused_as_a_whole(tried, notice)) {
      tried = co_await hand_over(notice, *addressee, *header, false);
    }
    co_return judge(tried, outcome);
  }

  // Asked once: a connection that dies later is opened again by MAIL.
  Task<Result<void>> make_ready() {
    if (is_ready_) co_return Result<void>();
    auto ready = co_await target_->ready();
    is_ready_ = ready.has_value();
    co_return ready;
  }

  // RET is about failures alone (RFC 3461 4.3).
  bool returns_whole(const queue::Notice& notice) const {
    if (notice.about != About::failure) return false;
    const auto ret = attribute(notice.letter.message.envelope().attributes, "ret");
    return ret.empty() ? options_.whole_message : equals_ignoring_case(ret, "FULL");
  }

  // Too large, or full of what a filter does not like, or damaged on our disk: its header alone may pass.
  bool is_refused_as_a_whole(const Try& tried, const queue::Notice& notice) const {
    const bool is_about_content = tried.where != Try::Where::rcpt && (!tried.reply || tried.reply->is_permanent());
    return is_about_content && returns_whole(notice);
  }

  mail::NoticeFrame compose(const queue::Notice& notice, const std::string& header, bool whole) const {
    const auto& envelope = notice.letter.message.envelope();
    mail::DeliveryStatus status;
    status.action =
        notice.about == About::failure ? mail::DeliveryStatus::Action::failed : mail::DeliveryStatus::Action::delayed;
    status.hostname = hostname_;
    status.addressee = envelope.reverse_path;
    status.envelope_id = attribute(envelope.attributes, "envid");
    status.arrival = envelope.arrival;
    status.now = clock_.wall();
    status.until = notice.letter.since + std::chrono::duration_cast<WallTime::duration>(options_.lifetime);
    status.message_id = notice.letter.id + "." + net::hex(net::random_octets(16));
    status.whole_message = whole;
    status.internationalized = target_->abilities().smtputf8;
    for (const auto& answer : notice.recipients) {
      const auto& recipient = envelope.recipients.at(answer.recipient);
      status.recipients.push_back(
          {recipient.address, attribute(recipient.attributes, "orcpt"), answer.reply.joined(), std::string()});
    }
    const bool is_8bit_header = !is_ascii(header);
    const bool is_8bit = is_8bit_header || (whole && !attribute(envelope.attributes, queue::k_body).empty());
    const bool is_international = is_8bit_header && envelope.attributes.count(queue::k_smtputf8) > 0;
    return mail::frame(status, is_8bit, is_international);
  }

  Task<Try> hand_over(queue::Notice& notice, const smtp::Mailbox& addressee, const std::string& header, bool whole) {
    const auto frame = compose(notice, header, whole);
    smtp::MailCommand mail;
    mail.reverse_path.is_null = true;
    mail.size =
        frame.before.size() + frame.after.size() + (frame.whole_message ? notice.letter.message.size() : header.size());
    if (frame.needs_8bit) mail.body = smtp::BodyType::eight_bit_mime;
    mail.smtputf8 = frame.needs_smtputf8;
    auto reply = co_await target_->mail(mail);
    if (!reply.is_positive()) co_return Try{Try::Where::mail, std::move(reply)};

    smtp::RcptCommand rcpt;
    rcpt.forward_path.mailbox = addressee;
    reply = co_await target_->rcpt(rcpt);
    if (!reply.is_positive()) {
      co_await target_->abandon();
      co_return Try{Try::Where::rcpt, std::move(reply)};
    }
    deliver::Handover handover;
    handover.reverse_path.is_null = true;
    handover.recipients.push_back(addressee);
    auto refused = co_await target_->data(handover);
    if (refused) {
      co_await target_->abandon();
      co_return Try{Try::Where::content, std::move(refused)};
    }
    co_return co_await hand_over_content(notice, frame, header);
  }

  Task<Try> hand_over_content(queue::Notice& notice, const mail::NoticeFrame& frame, const std::string& header) {
    Result<void> sent;
    bool is_taken = co_await target_->content(frame.before);
    if (is_taken && !frame.whole_message) is_taken = co_await target_->content(header);
    if (is_taken && frame.whole_message) sent = co_await hand_over_message(notice.letter.message);
    if (!sent) {
      log_.error("a message cannot be read for its bounce", {{"id", notice.letter.id}, {"why", sent.error().text}});
      co_await target_->abandon();
      notice.letter.message.rewind();
      co_return Try{};
    }
    (void)co_await target_->content(frame.after);
    auto replies = co_await target_->finish();
    co_return Try{Try::Where::content, std::move(replies.front())};
  }

  // What the target does not take any more, finish() tells of. Errors: those of reading.
  Task<Result<void>> hand_over_message(spool::MessageReader& message) {
    message.rewind();
    std::string piece(k_piece, '\0');
    bool is_taken = true;
    while (is_taken) {
      const auto count = message.read(piece.data(), piece.size());
      if (!count) co_return fail(count.error());
      if (*count == 0) break;
      is_taken = co_await target_->content(std::string_view(piece).substr(0, *count));
    }
    co_return Result<void>();
  }

  // A target that does not even let us begin takes no other notice either.
  static bool judge(const Try& tried, queue::Queue::NoticeOutcome& outcome) {
    if (!tried.reply) {
      outcome = {How::put_off, "the message cannot be read"};
      return true;
    }
    outcome.reply = tried.reply->joined();
    if (tried.where == Try::Where::mail) {
      outcome.how = How::put_off;
      return false;
    }
    outcome.how = tried.reply->is_positive()    ? How::told
                  : tried.reply->is_permanent() ? How::undeliverable
                                                : How::put_off;
    return true;
  }

  queue::Queue& queue_;
  const std::string hostname_;
  const NoticeOptions& options_;
  Clock& clock_;
  net::Worker& disk_;
  Log& log_;
  Stop& stop_;
  std::unique_ptr<deliver::Target> target_;
  NoticesReport report_;
  bool is_ready_ = false;
};

}  // namespace

Task<NoticesReport> send_notices(queue::Queue& queue, const deliver::TargetOptions& target,
                                 const NoticeOptions& options, net::Network& network, net::Worker& disk, Log& log,
                                 Stop& stop, FileOps& files) {
  Notices notices(queue, target, options, network, disk, log, stop, files);
  co_return co_await notices.run();
}

}  // namespace odmr::app
