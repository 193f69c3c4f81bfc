#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/log.hpp"
#include "base/stop.hpp"
#include "net/stream.hpp"
#include "provider/calls.hpp"
#include "provider/customers.hpp"
#include "provider/held_mail.hpp"
#include "provider/login_guard.hpp"
#include "provider/relay.hpp"
#include "provider/visits.hpp"

namespace odmr::provider {

enum class DoorTls {
  starttls,  ///< no AUTH before it
  implicit,  ///< from the first byte
  none,      ///< only mechanisms that do not say the password (sasl::allowed_in_clear)
};

/// What a customer comes in by.
struct Door {
  DoorTls tls = DoorTls::starttls;
  std::shared_ptr<net::TlsContext> context;  ///< null for `none`
};

/// How sessions are held.
struct SessionOptions {
  std::string hostname;
  Duration login = std::chrono::minutes(5);        ///< from the connection to the login, TLS handshake included
  Duration command = std::chrono::minutes(5);      ///< for a command, then; for a reply on the turned line
  Duration data = std::chrono::minutes(2);         ///< there, for the reply to DATA
  Duration final = std::chrono::minutes(10);       ///< and for that to the final dot
  Duration silence = std::chrono::minutes(2);      ///< the customer takes no byte
  Duration first_delay = std::chrono::seconds(1);  ///< after a failed login; doubled by each further one
  unsigned most_failures = 3;                      ///< failed logins
  unsigned most_errors = 20;                       ///< commands that are none, or come out of turn
  unsigned most_idle_commands = 100;               ///< EHLO, NOOP and RSET, which lead to nothing
  std::size_t most_recipients = 100;               ///< in one transaction (RFC 5321 4.5.3.1.8)
  Duration upload = std::chrono::minutes(10);      ///< for all of a list of recipients
  Duration content = std::chrono::minutes(5);      ///< for the next piece of a message of the customer's own
};

/// Who may connect.
struct Access {
  net::Networks allow;   ///< empty: everybody
  net::Networks ignore;  ///< but those

  bool admits(const std::string& peer) const { return !ignore.has(peer) && (allow.empty() || allow.has(peer)); }
};

struct Push;
class RecipientBook;

/// What every session needs; outlives them all. Customers and the way out may be changed: a session goes on with those
/// that it began with.
struct Provider {
  SessionOptions options;
  std::shared_ptr<const Customers> customers;
  HeldMail& held;
  net::Network& network;
  std::shared_ptr<const WayOut> way_out = nullptr;  ///< null: there is none
  /// Begins the delivery that an ETRN has asked for; null: none can be asked for.
  std::function<void(Push push)> begin_push = nullptr;
  Allowances allowances = {};
  Visits visits = {};
  LoginGuard guard = {};
  Access access = {};
  Calls calls = {};
  RecipientBook* recipients = nullptr;  ///< null: no lists are taken
};

/// An ATRN that was answered 250: from here on we are the client.
struct Turn {
  net::Stream stream;  ///< with whatever the customer has sent already
  std::shared_ptr<const Customer> customer;
  Domains domains;
  HeldMail::Claim claim;
  Visits::Visit visit;
  Duration keep{};  ///< so long the line may be kept when all is sent (XKEEP); zero: it is not
};

/// Speaks RFC 2645's provider, as the SMTP server, from the greeting up to the turn. TLS has begun where it is
/// implicit. No value: the customer did not come so far, and the connection is ended. Logs each login and each ATRN.
///
/// Mail of the customer's own, from its login up to ATRN, goes on to the smart host where there is one (Relay).
///
/// ETRN (RFC 1985), of a customer that may say it: its mail goes out over another connection (push.hpp), which
/// begin_push makes.
///
/// Our own, for customers that stay: EHLO says XHOLD, and after XHOLD an ATRN for which there is no mail is not
/// answered before there is some, or the customer's time for that (Customer::hold) is over. RFC 2645 5.2.1 lets it wait
/// for ten minutes.
///
/// Likewise XKEEP: the turned line may be kept when all is sent (KeptLine), for Customer::keep.
///
/// And XRECIPIENTS: the customer tells which recipients there are (RecipientBook).
///
/// `line` is told how far the customer comes.
net::Task<std::optional<Turn>> speak_to_customer(net::Stream stream, const Door& door, Provider& provider,
                                                 Calls::Line& line, Log& log, Stop& stop);

}  // namespace odmr::provider
