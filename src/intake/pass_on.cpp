#include "intake/pass_on.hpp"

#include <utility>

namespace odmr::intake {

using net::Task;
using smtp::Reply;

bool is_about_login(const Reply& reply) {
  return reply.code == 530 || reply.code == 535 || reply.code == 538;
}

// The transaction in hand.
struct PassOn::Message {
  smtp::MailCommand mail;
  server::Hello hello;
  std::string trace_id;
  std::vector<smtp::Mailbox> recipients;  // accepted
  std::optional<Reply> refused;
  LimitWatch limits;

  explicit Message(const Limits& all) : limits(all) {}
};

PassOn::PassOn(const PassOnOptions& options, Caller caller, std::string session, deliver::Target& smart_host,
               Clock& clock, Log& log)
    : CallerHandler(std::move(caller), log),
      options_(options),
      session_(std::move(session)),
      smart_host_(smart_host),
      clock_(clock) {}

PassOn::~PassOn() = default;

Task<Reply> PassOn::on_mail(const smtp::MailCommand& mail, const server::Hello& hello) {
  message_ = std::make_unique<Message>(options_.limits);
  message_->mail = mail;
  message_->hello = hello;
  message_->trace_id = session_ + "." + std::to_string(++sequence_);
  auto& mailbox = message_->mail.reverse_path.mailbox;
  if (!mail.reverse_path.is_null) mailbox = qualified(mailbox, options_.hostname);
  Reply reply = co_await smart_host_.mail(message_->mail);
  if (is_about_login(reply)) {
    log_.error("the smart host wants another login", {{"reply", reply.joined()}});
    reply = Reply(451, "4.7.0 the smart host does not let us in: " + reply.joined());
  }
  if (!reply.is_positive()) {
    log_message(reply, 0);
    message_.reset();
  }
  co_return reply;
}

Task<Reply> PassOn::on_rcpt(const smtp::RcptCommand& rcpt) {
  smtp::RcptCommand full = rcpt;
  full.forward_path.mailbox = qualified(full.forward_path.mailbox, options_.hostname);
  Reply reply = co_await smart_host_.rcpt(full);
  if (reply.is_positive())
    message_->recipients.push_back(full.forward_path.mailbox);
  else
    on_rcpt_refused(full.forward_path.text(), reply);
  co_return reply;
}

Task<std::optional<Reply>> PassOn::on_data() {
  Message& message = *message_;
  mail::Received received =
      trace(caller_, message.hello, message.mail,
            message.recipients.size() == 1 ? message.recipients.front().text() : std::string(), clock_.wall());
  received.by = options_.hostname;
  received.id = message.trace_id;
  deliver::Handover handover{message.mail.reverse_path, message.recipients, mail::format(received)};
  auto refused = co_await smart_host_.data(handover);
  if (refused) log_message(*refused, 0);
  co_return refused;
}

// The smart host's connection goes, so that what it has heard so far is no message.
Task<> PassOn::give_up(Reply reply) {
  message_->refused = std::move(reply);
  co_await smart_host_.abandon();
}

Task<> PassOn::on_content(std::string_view piece) {
  Message& message = *message_;
  if (message.refused) co_return;
  auto refused = message.limits.see(piece);
  if (refused)
    co_await give_up(std::move(*refused));
  else
    co_await smart_host_.content(piece);
}

Task<server::Answer> PassOn::on_end(server::ContentEnd end, server::Peer& /*peer*/) {
  if (end.has_stray_newline && !message_->refused) {
    co_await give_up(Reply(550, "5.6.11 a CR or an LF stands alone in the message"));
  }
  Reply reply;
  if (message_->refused) {
    reply = *message_->refused;
  } else {
    const auto replies = co_await smart_host_.finish();
    reply = replies.front();
  }
  log_message(reply, end.size);
  message_.reset();
  co_return reply;
}

Task<> PassOn::on_abandon() {
  if (!message_->refused) co_await smart_host_.abandon();
  message_.reset();
}

void PassOn::log_message(const Reply& reply, std::uint64_t size) {
  log_.info(reply.is_positive() ? "message passed on" : "message refused",
            {{"trace", message_->trace_id},
             {"submitter", caller_.name},
             {"reverse_path", message_->mail.reverse_path.text()},
             {"recipients", std::to_string(message_->recipients.size())},
             {"size", std::to_string(size)},
             {"reply", reply.joined()}});
}

}  // namespace odmr::intake
