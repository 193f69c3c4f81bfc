#include "provider/relay.hpp"

#include "smtp/path.hpp"

namespace odmr::provider {

using net::Task;
using smtp::Reply;

Relay::Relay(const WayOut& way_out, const Customer& customer, const intake::Caller& caller, const std::string& session,
             Allowances& allowances, net::Network& network, Log& log, Stop& stop)
    : intake::CallerHandler(caller, log),
      customer_(customer),
      allowances_(allowances),
      clock_(network.clock()),
      smart_host_(way_out.smart_host, network, log, stop),
      pass_on_(way_out.options, caller, session, smart_host_, network.clock(), log) {}

// No open relay, and no forger's either. What a customer bounces comes from the null reverse-path (RFC 5321 4.5.5).
Task<Reply> Relay::on_mail(const smtp::MailCommand& mail, const server::Hello& hello) {
  const auto domain = smtp::canonical_domain(mail.reverse_path.mailbox.domain);
  if (!mail.reverse_path.is_null && (!domain || !customer_.domains.contains(*domain))) {
    Reply refused(550, "5.7.1 mail is taken from senders in your own domains alone");
    on_mail_refused(mail.reverse_path.text(), refused);
    co_return refused;
  }
  co_return co_await pass_on_.on_mail(mail, hello);
}

Task<Reply> Relay::on_rcpt(const smtp::RcptCommand& rcpt) {
  if (!allowances_.take(customer_, clock_.now())) {
    Reply later(452, "4.7.1 you have had as many recipients as you may in an hour: later");
    on_rcpt_refused(rcpt.forward_path.text(), later);
    co_return later;
  }
  co_return co_await pass_on_.on_rcpt(rcpt);
}

net::Task<server::Answer> Relay::on_end(server::ContentEnd end, server::Peer& peer) {
  server::Answer answer = co_await pass_on_.on_end(end, peer);
  if (answer.reply.is_positive()) ++passed_on_;
  co_return answer;
}

}  // namespace odmr::provider
