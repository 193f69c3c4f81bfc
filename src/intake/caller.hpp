#pragma once

#include <string>

#include "base/log.hpp"
#include "mail/received.hpp"
#include "server/mail_session.hpp"
#include "smtp/command.hpp"

namespace odmr::intake {

/// Who hands mail in.
struct Caller {
  std::string name;     ///< "uid 1000", or the address
  std::string address;  ///< "127.0.0.1", empty for one on a Unix socket or on stdin
  bool has_tls = false;
  bool is_logged_in = false;

  /// From net::Stream::peer(): "uid 1000", "127.0.0.1:40000".
  static Caller of(const std::string& peer);
  /// Whether the system itself swears who it is.
  bool is_local() const { return address.empty(); }
};

/// "root@HOSTNAME" for a bare "root".
smtp::Mailbox qualified(smtp::Mailbox mailbox, const std::string& hostname);

/// Our Received field; `recipient` is the only one, empty when there are several.
mail::Received trace(const Caller& caller, const server::Hello& hello, const smtp::MailCommand& mail,
                     const std::string& recipient, WallTime now);

/// The handler of a caller's session, as far as all of them do the same.
class CallerHandler : public server::MailHandler {
 public:
  void on_mail_refused(std::string_view argument, const smtp::Reply& reply) override;
  void on_rcpt_refused(std::string_view argument, const smtp::Reply& reply) override;

 protected:
  CallerHandler(Caller caller, Log& log) : caller_(std::move(caller)), log_(log) {}

  const Caller caller_;
  Log& log_;
};

}  // namespace odmr::intake
