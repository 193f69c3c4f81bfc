#include "submit/direct.hpp"

#include <array>
#include <utility>

#include "base/outcome.hpp"

namespace odmr::submit {

using net::Task;
using smtp::Reply;

namespace {

constexpr int k_data_error = 65;
constexpr int k_refused = 69;
constexpr std::size_t k_piece = std::size_t{32} * 1024;

// RFC 4954 6: what the smart host wants of us, and not of the mail, is a login.
bool is_about_login(const Reply& reply) {
  return reply.code == 530 || reply.code == 535 || reply.code == 538;
}

}  // namespace

// The transaction in hand.
struct DirectSubmission::Message {
  smtp::MailCommand mail;
  server::Hello hello;
  std::string trace_id;
  std::vector<smtp::Mailbox> recipients;  // accepted
  std::optional<Reply> refused;
  intake::LimitWatch limits;

  explicit Message(const intake::Limits& all) : limits(all) {}
};

DirectSubmission::DirectSubmission(const DirectOptions& options, intake::Caller caller, std::string session,
                                   deliver::Target& smart_host, Clock& clock, Log& log)
    : intake::CallerHandler(std::move(caller), log),
      options_(options),
      session_(std::move(session)),
      smart_host_(smart_host),
      clock_(clock) {}

DirectSubmission::~DirectSubmission() = default;

Task<Reply> DirectSubmission::on_mail(const smtp::MailCommand& mail, const server::Hello& hello) {
  message_ = std::make_unique<Message>(options_.limits);
  message_->mail = mail;
  message_->hello = hello;
  message_->trace_id = session_ + "." + std::to_string(++sequence_);
  auto& mailbox = message_->mail.reverse_path.mailbox;
  if (!mail.reverse_path.is_null) mailbox = intake::qualified(mailbox, options_.hostname);
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

Task<Reply> DirectSubmission::on_rcpt(const smtp::RcptCommand& rcpt) {
  smtp::RcptCommand full = rcpt;
  full.forward_path.mailbox = intake::qualified(full.forward_path.mailbox, options_.hostname);
  Reply reply = co_await smart_host_.rcpt(full);
  if (reply.is_positive())
    message_->recipients.push_back(full.forward_path.mailbox);
  else
    on_rcpt_refused(full.forward_path.text(), reply);
  co_return reply;
}

Task<std::optional<Reply>> DirectSubmission::on_data() {
  Message& message = *message_;
  mail::Received received =
      intake::trace(caller_, message.hello, message.mail,
                    message.recipients.size() == 1 ? message.recipients.front().text() : std::string(), clock_.wall());
  received.by = options_.hostname;
  received.id = message.trace_id;
  deliver::Handover handover{message.mail.reverse_path, message.recipients, mail::format(received)};
  auto refused = co_await smart_host_.data(handover);
  if (refused) log_message(*refused, 0);
  co_return refused;
}

// The smart host's connection goes, so that what it has heard so far is no message.
Task<> DirectSubmission::give_up(Reply reply) {
  message_->refused = std::move(reply);
  co_await smart_host_.abandon();
}

Task<> DirectSubmission::on_content(std::string_view piece) {
  Message& message = *message_;
  if (message.refused) co_return;
  auto refused = message.limits.see(piece);
  if (refused)
    co_await give_up(std::move(*refused));
  else
    co_await smart_host_.content(piece);
}

Task<server::Answer> DirectSubmission::on_end(server::ContentEnd end, server::Peer& /*peer*/) {
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

Task<> DirectSubmission::on_abandon() {
  if (!message_->refused) co_await smart_host_.abandon();
  message_.reset();
}

void DirectSubmission::log_message(const Reply& reply, std::uint64_t size) {
  log_.info(reply.is_positive() ? "message passed on" : "message refused",
            {{"trace", message_->trace_id},
             {"submitter", caller_.name},
             {"reverse_path", message_->mail.reverse_path.text()},
             {"recipients", std::to_string(message_->recipients.size())},
             {"size", std::to_string(size)},
             {"reply", reply.joined()}});
}

// As the flush has it: a connection that is refused, with whatever code, is for later.
Outcome outcome_of_refusal(const std::optional<client::OpenFailure>& failure) {
  const bool is_special = failure && (failure->outcome == Outcome::tls || failure->outcome == Outcome::auth);
  return is_special ? failure->outcome : Outcome::unavailable;
}

namespace {

DirectResult result_of(const Reply& reply, const std::string& about) {
  const std::string text = about + ": " + reply.joined();
  if (is_about_login(reply)) return {exit_status(Outcome::auth), text};
  return {reply.is_permanent() ? k_refused : exit_status(Outcome::unavailable), text};
}

Task<DirectResult> open(deliver::SmtpTarget& smart_host, const client::Envelope& envelope) {
  const auto ready = co_await smart_host.ready();
  if (!ready) {
    co_return DirectResult{exit_status(outcome_of_refusal(smart_host.failure())),
                           "the smart host is not ready: " + ready.error().text};
  }
  if (envelope.options.smtputf8 && !smart_host.abilities().smtputf8) {
    co_return DirectResult{k_refused, "the smart host takes no internationalized mail (SMTPUTF8)"};
  }
  co_return DirectResult{};
}

Task<DirectResult> address(deliver::SmtpTarget& smart_host, const client::Envelope& envelope) {
  smtp::MailCommand mail;
  mail.reverse_path = envelope.reverse_path;
  mail.size = envelope.options.size;
  mail.body = envelope.options.body;
  mail.smtputf8 = envelope.options.smtputf8;
  mail.ret = envelope.options.ret;
  mail.envid = envelope.options.envid;
  const Reply reply = co_await smart_host.mail(mail);
  if (!reply.is_positive()) co_return result_of(reply, "the sender <" + envelope.reverse_path.text() + "> is refused");
  DirectResult worst;
  for (const auto& recipient : envelope.recipients) {
    smtp::RcptCommand rcpt;
    rcpt.forward_path.mailbox = recipient.mailbox;
    rcpt.notify = recipient.notify;
    rcpt.orcpt = recipient.orcpt;
    const Reply answer = co_await smart_host.rcpt(rcpt);
    if (answer.is_positive()) continue;
    const auto refused = result_of(answer, "the recipient <" + recipient.mailbox.text() + "> is refused");
    // What is refused for good will be so the next time too.
    if (worst.exit != k_refused) worst.exit = refused.exit;
    worst.text += (worst.text.empty() ? "" : "; ") + refused.text;
  }
  co_return worst;
}

Task<DirectResult> transfer(deliver::SmtpTarget& smart_host, const client::Envelope& envelope, std::string trace,
                            client::Content& content) {
  deliver::Handover handover{envelope.reverse_path, {}, std::move(trace)};
  for (const auto& recipient : envelope.recipients) handover.recipients.push_back(recipient.mailbox);
  const auto refused = co_await smart_host.data(handover);
  if (refused) co_return result_of(*refused, "the message is refused");
  std::array<char, k_piece> piece{};
  bool goes_on = true;
  while (goes_on) {
    const auto count = content.read(piece.data(), piece.size());
    if (!count) {
      co_await smart_host.abandon();
      const bool is_malformed = count.error().code == Errc::malformed;
      co_return DirectResult{is_malformed ? k_data_error : exit_status(Outcome::unavailable), count.error().text};
    }
    if (*count == 0) break;
    const std::string_view bytes(piece.data(), *count);
    goes_on = co_await smart_host.content(bytes);
  }
  const auto replies = co_await smart_host.finish();
  if (!replies.front().is_positive()) co_return result_of(replies.front(), "the message is refused");
  co_return DirectResult{0, replies.front().joined()};
}

}  // namespace

Task<DirectResult> send_direct(deliver::SmtpTarget& smart_host, const client::Envelope& envelope, std::string trace,
                               client::Content& content) {
  DirectResult result = co_await open(smart_host, envelope);
  if (result.exit != 0) co_return result;
  result = co_await address(smart_host, envelope);
  if (result.exit == 0)
    result = co_await transfer(smart_host, envelope, std::move(trace), content);
  else
    co_await smart_host.abandon();
  co_await smart_host.close();
  co_return result;
}

}  // namespace odmr::submit
