#include "intake/caller.hpp"

#include <utility>

namespace odmr::intake {

Caller Caller::of(const std::string& peer) {
  const auto colon = peer.rfind(':');
  Caller caller;
  caller.name = peer;
  if (colon == std::string::npos) return caller;
  caller.address = peer.substr(0, colon);
  const bool is_bracketed = caller.address.size() > 2 && caller.address.front() == '[';
  if (is_bracketed) caller.address = caller.address.substr(1, caller.address.size() - 2);
  caller.name = caller.address;
  return caller;
}

namespace {

// RFC 3848, RFC 6531 4.3
std::string protocol(const Caller& caller, const server::Hello& hello, bool smtputf8) {
  if (!hello.is_extended) return "SMTP";
  return std::string(smtputf8 ? "UTF8SMTP" : "ESMTP") + (caller.has_tls ? "S" : "") + (caller.is_logged_in ? "A" : "");
}

}  // namespace

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
  received.with = protocol(caller, hello, mail.smtputf8);
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
