#include "submit/submission.hpp"

#include <utility>

#include "queue/attributes.hpp"
#include "queue/intake.hpp"

namespace odmr::submit {

using net::Task;
using smtp::Reply;

// The transaction in hand.
struct Submission::Message {
  smtp::MailCommand mail;
  server::Hello hello;
  spool::Envelope envelope;
  std::optional<queue::Intake> intake;  // until the message is given up
  std::optional<Reply> refused;         // then
  intake::LimitWatch limits;

  explicit Message(const intake::Limits& all) : limits(all) {}
};

Submission::Submission(const SubmissionOptions& options, intake::Caller caller, spool::Store store, net::Worker& disk,
                       Clock& clock, Log& log)
    : intake::CallerHandler(std::move(caller), log),
      options_(options),
      store_(std::move(store)),
      disk_(disk),
      clock_(clock) {}

Submission::~Submission() = default;

Task<Reply> Submission::on_mail(const smtp::MailCommand& mail, const server::Hello& hello) {
  const auto space = options_.free_space();
  const std::uint64_t announced = mail.size.value_or(0);
  if (space && (*space < options_.spare || *space - options_.spare < announced)) {
    log_.warn("message put off: the disk is full", {{"free", std::to_string(*space)}});
    co_return Reply(452, "4.3.1 the queue has no room for this now");
  }
  message_ = std::make_unique<Message>(options_.limits);
  message_->mail = mail;
  message_->hello = hello;
  auto& envelope = message_->envelope;
  if (!mail.reverse_path.is_null)
    envelope.reverse_path = intake::qualified(mail.reverse_path.mailbox, options_.hostname).text();
  envelope.attributes[queue::k_submitter] = caller_.name;
  if (!mail.ret.empty()) envelope.attributes["ret"] = mail.ret;
  if (!mail.envid.empty()) envelope.attributes["envid"] = mail.envid;
  co_return Reply(250, "2.1.0 OK");
}

Task<Reply> Submission::on_rcpt(const smtp::RcptCommand& rcpt) {
  spool::Recipient recipient;
  recipient.address = intake::qualified(rcpt.forward_path.mailbox, options_.hostname).text();
  if (!rcpt.notify.empty()) recipient.attributes["notify"] = rcpt.notify;
  if (!rcpt.orcpt.empty()) recipient.attributes["orcpt"] = rcpt.orcpt;
  message_->envelope.recipients.push_back(std::move(recipient));
  co_return Reply(250, "2.1.5 OK");
}

Task<std::optional<Reply>> Submission::on_data() {
  Message& message = *message_;
  const auto& recipients = message.envelope.recipients;
  message.envelope.arrival = clock_.wall();
  queue::IntakeOptions options;
  options.hostname = options_.hostname;
  options.received = intake::trace(caller_, message.hello, message.mail,
                                   recipients.size() == 1 ? recipients.front().address : std::string(), clock_.wall());
  options.received->by = options_.hostname;
  message.intake.emplace(store_, message.envelope, std::move(options));
  co_return std::nullopt;
}

// The rest of the message is still to come, and is read; nothing of it stays.
void Submission::give_up(const Reply& reply) {
  message_->intake.reset();
  message_->refused = reply;
}

// A disk's trouble is for later; only what the message itself is at fault for is refused for good.
Reply Submission::refusal(const Error& error) {
  if (error.code == Errc::too_long) return Reply(552, "5.3.4 " + error.text);
  if (error.code == Errc::malformed) return Reply(554, "5.6.0 " + error.text);
  log_.error("a message cannot be put into the queue", {{"why", error.text}});
  if (error.code == Errc::no_space) return Reply(452, "4.3.1 the queue has no room for this now");
  return Reply(451, "4.3.0 the queue cannot take this now");
}

Task<> Submission::on_content(std::string_view piece) {
  Message& message = *message_;
  if (message.refused) co_return;
  if (const auto refused = message.limits.see(piece)) {
    give_up(*refused);
  } else if (const auto written = message.intake->write(piece); !written) {
    give_up(refusal(written.error()));
  }
}

Task<server::Answer> Submission::on_end(server::ContentEnd end, server::Peer& /*peer*/) {
  if (end.has_stray_newline) give_up(Reply(550, "5.6.11 a CR or an LF stands alone in the message"));
  Reply reply;
  if (message_->refused)
    reply = *message_->refused;
  else
    reply = co_await commit(end.size);
  if (!reply.is_positive()) {
    log_.info("message refused", {{"submitter", caller_.name},
                                  {"reverse_path", message_->envelope.reverse_path},
                                  {"size", std::to_string(end.size)},
                                  {"reply", reply.joined()}});
  }
  message_.reset();
  co_return reply;
}

Task<Reply> Submission::commit(std::uint64_t size) {
  Message& message = *message_;
  Result<std::string> id = fail(Errc::io, "not tried");
  const std::function<void()> work = [&message, &id] { id = message.intake->commit(); };
  co_await disk_.run(work);
  if (!id) co_return refusal(id.error());
  log_.info("message queued", {{"id", *id},
                               {"submitter", caller_.name},
                               {"reverse_path", message.envelope.reverse_path},
                               {"recipients", std::to_string(message.envelope.recipients.size())},
                               {"size", std::to_string(size)}});
  co_return Reply(250, "2.0.0 queued as " + *id);
}

Task<> Submission::on_abandon() {
  message_.reset();
  co_return;
}

}  // namespace odmr::submit
