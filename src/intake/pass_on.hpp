#pragma once

#include <memory>
#include <string>

#include "base/log.hpp"
#include "deliver/target.hpp"
#include "intake/caller.hpp"
#include "intake/limits.hpp"
#include "server/mail_session.hpp"

namespace odmr::intake {

struct PassOnOptions {
  std::string hostname;
  Limits limits;
};

/// The handler of a caller's session that stores nothing: each transaction goes on to the smart host while it comes,
/// and the smart host's answer is the answer. Only a login that the smart host does not accept is made a 4xx: it is our
/// configuration that is at fault, and not the mail.
class PassOn final : public CallerHandler {
 public:
  PassOn(const PassOnOptions& options, Caller caller, std::string session, deliver::Target& smart_host, Clock& clock,
         Log& log);
  ~PassOn() override;

  net::Task<smtp::Reply> on_mail(const smtp::MailCommand& mail, const server::Hello& hello) override;
  net::Task<smtp::Reply> on_rcpt(const smtp::RcptCommand& rcpt) override;
  net::Task<std::optional<smtp::Reply>> on_data() override;
  net::Task<> on_content(std::string_view piece) override;
  net::Task<server::Answer> on_end(server::ContentEnd end, server::Peer& peer) override;
  net::Task<> on_abandon() override;

 private:
  struct Message;

  net::Task<> give_up(smtp::Reply reply);
  void log_message(const smtp::Reply& reply, std::uint64_t size);

  const PassOnOptions& options_;
  std::string session_;
  deliver::Target& smart_host_;
  Clock& clock_;
  std::uint64_t sequence_ = 0;
  std::unique_ptr<Message> message_;
};

/// RFC 4954 6: what a smart host that replies so wants of us, and not of the mail, is a login.
bool is_about_login(const smtp::Reply& reply);

}  // namespace odmr::intake
