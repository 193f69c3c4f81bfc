#include "intake/caller.hpp"

#include <utility>

namespace odmr::intake {

Caller Caller::of(const std::string& peer) {
  const auto colon = peer.rfind(':');
  if (colon == std::string::npos) return Caller{peer, {}};
  std::string address = peer.substr(0, colon);
  if (address.size() > 2 && address.front() == '[') address = address.substr(1, address.size() - 2);
  return Caller{address, address};
}

smtp::Mailbox qualified(smtp::Mailbox mailbox, const std::string& hostname) {
  if (mailbox.domain.empty()) mailbox.domain = hostname;
  return mailbox;
}

mail::Received trace(const Caller& caller, const server::Hello& hello, const smtp::MailCommand& mail,
                     const std::string& recipient, WallTime now) {
  mail::Received received;
  received.from_name = hello.name;
  received.from_address = caller.address;
  received.from_note = caller.name;
  received.with = !hello.is_extended ? "SMTP" : mail.smtputf8 ? "UTF8SMTP" : "ESMTP";  // RFC 3848, RFC 6531 4.3
  received.for_mailbox = recipient;
  received.time = now;
  return received;
}

void CallerHandler::on_mail_refused(std::string_view argument, const smtp::Reply& reply) {
  log_.info("message refused", {{"mail", std::string(argument)}, {"reply", reply.joined()}});
}

void CallerHandler::on_rcpt_refused(std::string_view argument, const smtp::Reply& reply) {
  log_.info("recipient refused", {{"recipient", std::string(argument)}, {"reply", reply.joined()}});
}

}  // namespace odmr::intake
