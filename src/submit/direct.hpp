#pragma once

#include <memory>
#include <string>

#include "base/log.hpp"
#include "base/outcome.hpp"
#include "client/transaction.hpp"
#include "deliver/smtp_target.hpp"
#include "intake/caller.hpp"
#include "intake/limits.hpp"
#include "server/mail_session.hpp"

namespace odmr::submit {

struct DirectOptions {
  std::string hostname;
  intake::Limits limits;
};

/// The handler of a local program's session that stores nothing: each transaction goes on to the smart host while it
/// comes, and the smart host's answer is the answer. Only a login that the smart host does not accept is made a 4xx:
/// it is our configuration that is at fault, and not the mail.
class DirectSubmission final : public intake::CallerHandler {
 public:
  DirectSubmission(const DirectOptions& options, intake::Caller caller, std::string session,
                   deliver::Target& smart_host, Clock& clock, Log& log);
  ~DirectSubmission() override;

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

  const DirectOptions& options_;
  std::string session_;
  deliver::Target& smart_host_;
  Clock& clock_;
  std::uint64_t sequence_ = 0;
  std::unique_ptr<Message> message_;
};

/// What a smart host that is not ready means for who wants to use it: tls, auth, or unavailable.
Outcome outcome_of_refusal(const std::optional<client::OpenFailure>& failure);

/// What became of one message that was not to wait.
struct DirectResult {
  int exit = 0;      ///< 0; 65 (the message cannot be read as mail), 69 (5xx), 75 (4xx, not reached), 76, 77
  std::string text;  ///< the smart host's words, or why there were none
};

/// Sends one message to the smart host, for all of its recipients or for none: where one is refused, nothing is sent.
/// `trace` is our Received field. Ends the connection.
net::Task<DirectResult> send_direct(deliver::SmtpTarget& smart_host, const client::Envelope& envelope,
                                    std::string trace, client::Content& content);

}  // namespace odmr::submit
