#include "submit/direct.hpp"

#include <array>
#include <utility>

#include "intake/pass_on.hpp"

namespace odmr::submit {

using net::Task;
using smtp::Reply;

namespace {

constexpr int k_data_error = 65;
constexpr int k_refused = 69;
constexpr std::size_t k_piece = std::size_t{32} * 1024;

}  // namespace

// As the flush has it: a connection that is refused, with whatever code, is for later.
Outcome outcome_of_refusal(const std::optional<client::OpenFailure>& failure) {
  const bool is_special = failure && (failure->outcome == Outcome::tls || failure->outcome == Outcome::auth);
  return is_special ? failure->outcome : Outcome::unavailable;
}

namespace {

DirectResult result_of(const Reply& reply, const std::string& about) {
  const std::string text = about + ": " + reply.joined();
  if (intake::is_about_login(reply)) return {exit_status(Outcome::auth), text};
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
