#include "provider/dialogue.hpp"

#include <algorithm>
#include <utility>

#include "net/delay.hpp"
#include "sasl/mechanism.hpp"
#include "server/authentication.hpp"
#include "server/channel.hpp"
#include "smtp/command.hpp"

namespace odmr::provider {

namespace {

using net::Task;
using smtp::Reply;
using smtp::Verb;

constexpr std::size_t k_longest_line = 12288;  // RFC 4954 4: AUTH with an initial response
constexpr auto k_handshake = std::chrono::seconds(30);
constexpr Duration k_ask_again = std::chrono::seconds(15);
constexpr int k_not_now = 450;
constexpr int k_no_mail = 453;  // RFC 2645 5.2.1

std::int64_t seconds_of(Duration duration) {
  return std::chrono::duration_cast<std::chrono::seconds>(duration).count();
}

std::string joined(const Domains& domains) {
  std::string text;
  for (const auto& domain : domains) text += (text.empty() ? "" : ",") + domain;
  return text;
}

class Dialogue {
 public:
  Dialogue(net::Stream stream, const Door& door, Provider& provider, Log& log, Stop& stop)
      : channel_(std::move(stream), log, provider.options.silence),
        door_(door),
        options_(provider.options),
        customers_(provider.customers),
        held_(provider.held),
        visits_(provider.visits),
        guard_(provider.guard),
        address_(net::counted_as(channel_.stream().peer())),
        log_(log),
        stop_(stop),
        login_by_(channel_.clock().now() + options_.login) {}

  Task<std::optional<Turn>> run() {
    const Stop::Listener listener(stop_, [this](Stop::Phase phase) { on_stop(phase); });
    channel_.reply(Reply(220, options_.hostname + " ODMR odmrd"));
    while (!is_over_) co_await step();
    const auto flushed = co_await channel_.flush();
    if (!flushed) is_lost_ = true;
    if (granted_ && !is_lost_) {
      Turn turn{std::move(channel_).release(), std::shared_ptr<const Customer>(customers_, customer_),
                std::move(granted_->domains), std::move(granted_->claim), std::move(granted_->visit)};
      co_return turn;
    }
    if (is_lost_)
      channel_.stream().close();
    else
      co_await channel_.stream().finish();
    co_return std::nullopt;
  }

 private:
  struct Granted {
    Domains domains;
    HeldMail::Claim claim;
    Visits::Visit visit;
  };
  using Grant = tl::expected<Granted, Reply>;

  void on_stop(Stop::Phase phase) {
    if (phase == Stop::Phase::leave)
      channel_.stream().close();
    else
      channel_.stream().interrupt();
  }

  Task<> step() {
    if (stop_.requested()) co_return say_good_bye("4.3.2", "is being stopped");
    if (errors_ >= options_.most_errors) co_return say_good_bye("4.7.0", "has heard too many errors");
    if (idle_commands_ >= options_.most_idle_commands) co_return say_good_bye("4.7.0", "is asked for nothing");
    const TimePoint deadline = customer_ == nullptr ? login_by_ : channel_.clock().now() + options_.command;
    auto line = co_await channel_.read_line(k_longest_line, deadline);
    if (!line) {
      if (line.error().code == Errc::timed_out)
        say_good_bye("4.4.2", "has waited long enough");
      else if (line.error().code != Errc::interrupted)
        lose(line.error());
      co_return;
    }
    if (line->fault == server::Line::Fault::none) {
      auto command = smtp::parse_command(line->text);
      wipe(line->text);
      co_await obey(std::move(command));
    } else if (line->fault == server::Line::Fault::too_long) {
      refuse(Reply(500, "5.5.2 the line is too long"));
    } else {
      refuse(Reply(500, "5.5.2 lines end in CRLF, and hold no other CR or LF"));
    }
  }

  void lose(const Error& error) {
    log_.debug("the customer is gone", {{"why", error.text}});
    is_over_ = is_lost_ = true;
  }

  void refuse(const Reply& reply) {
    ++errors_;
    channel_.reply(reply);
  }

  void say_good_bye(const std::string& code, const std::string& why) {
    log_.info("closing", {{"why", options_.hostname + " " + why}});
    channel_.reply(Reply(421, code + " " + options_.hostname + " " + why));
    is_over_ = true;
  }

  // RFC 2645 5.1: beside EHLO, AUTH, ATRN and QUIT anything may be answered 502.
  Task<> obey(smtp::Command command) {
    switch (command.verb) {
      case Verb::ehlo:
      case Verb::helo:
        ++idle_commands_;
        hello(command);
        break;
      case Verb::starttls:
        co_await start_tls(command);
        break;
      case Verb::auth:
        co_await authenticate(std::move(command.argument));
        break;
      case Verb::atrn:
        co_await atrn(command.argument);
        break;
      case Verb::xhold:
        hold(command);
        break;
      case Verb::noop:
      case Verb::rset:
        ++idle_commands_;
        channel_.reply(Reply(250, "2.0.0 OK"));
        break;
      case Verb::quit:
        channel_.reply(Reply(221, "2.0.0 " + options_.hostname + " closes"));
        is_over_ = true;
        break;
      default:
        refuse(Reply(502, "5.5.1 no such command here"));
    }
  }

  void hello(const smtp::Command& command) {
    if (command.argument.empty()) {
      return refuse(Reply(501, "5.5.4 " + std::string(smtp::name(command.verb)) + " needs a name"));
    }
    is_extended_ = command.verb == Verb::ehlo;
    if (!is_extended_) return channel_.reply(Reply(250, options_.hostname));
    std::vector<std::string> lines{options_.hostname, "ATRN", "ENHANCEDSTATUSCODES", "XEMPTIES"};
    if (const auto longest = seconds_of(customers_->longest_hold()); longest > 0)
      lines.push_back("XHOLD " + std::to_string(longest));
    if (wants_starttls()) lines.emplace_back("STARTTLS");
    if (const auto mechanisms = announced_mechanisms(); !mechanisms.empty()) lines.push_back("AUTH" + mechanisms);
    channel_.reply(Reply(250, std::move(lines)));
  }

  // --- TLS

  const std::optional<net::TlsFacts>& tls() { return channel_.stream().tls(); }
  bool wants_starttls() { return door_.tls == DoorTls::starttls && !tls(); }

  Task<> start_tls(const smtp::Command& command) {
    if (door_.tls == DoorTls::none) co_return refuse(Reply(502, "5.5.1 no such command here"));
    if (tls()) co_return refuse(Reply(503, "5.5.1 TLS has begun already"));
    if (!command.argument.empty()) co_return refuse(Reply(501, "5.5.4 STARTTLS takes no argument"));
    // RFC 3207 4.2, CVE-2011-0411: what came in clear text behind STARTTLS must not be taken for something said inside.
    if (!channel_.stream().buffered().empty()) {
      log_.warn("bytes in clear text came behind STARTTLS", {});
      co_return hang_up_on(Reply(554, "5.5.1 nothing may follow STARTTLS in clear text"));
    }
    channel_.reply(Reply(220, "2.0.0 ready"));
    if (const auto flushed = co_await channel_.flush(); !flushed) co_return lose(flushed.error());
    const TimePoint deadline = std::min(login_by_, channel_.clock().now() + Duration(k_handshake));
    const auto begun = co_await channel_.stream().start_tls_server(door_.context, deadline);
    if (!begun) {
      log_.warn("TLS does not come about", {{"why", begun.error().text}});
      co_return lose(begun.error());
    }
    is_extended_ = false;
  }

  void hang_up_on(const Reply& reply) {
    channel_.reply(reply);
    is_over_ = true;
  }

  // --- AUTH

  std::string certificate_user() {
    const Customer* customer = tls() ? customers_->with_certificate(*tls()) : nullptr;
    return customer == nullptr ? std::string() : customer->user;
  }

  sasl::Situation situation() {
    sasl::Situation situation;
    situation.tls = tls().has_value();
    situation.has_channel_binding = tls() && !tls()->exporter.empty();
    situation.has_client_certificate = !certificate_user().empty();
    situation.has_password = true;
    return situation;
  }

  std::string announced_mechanisms() {
    std::string text;
    if (wants_starttls()) return text;
    for (const auto mechanism : sasl::usable(situation())) text += " " + std::string(sasl::name(mechanism));
    return text;
  }

  Task<> authenticate(std::string argument) {
    if (wants_starttls()) co_return refuse(Reply(530, "5.7.0 STARTTLS first"));  // RFC 3207 4
    if (customer_ != nullptr) co_return refuse(Reply(503, "5.5.1 you are logged in"));
    if (!is_extended_) co_return refuse(Reply(503, "5.5.1 EHLO first"));
    if (argument.empty()) co_return refuse(Reply(501, "5.5.4 AUTH needs a mechanism"));
    if (guard_.keeps_out(address_, channel_.clock().now())) {
      log_.info("login", {{"result", "kept out"}, {"customer", "-"}});
      co_return refuse(Reply(454, "4.7.0 too many logins from your address have failed: later"));
    }
    const std::string exporter = tls() ? tls()->exporter : std::string();
    const std::string by_certificate = certificate_user();
    const sasl::Channel binding{exporter, by_certificate};
    const sasl::Situation where = situation();
    const Duration patience = std::max(login_by_ - channel_.clock().now(), Duration::zero());
    const auto outcome =
        co_await server::authenticate(channel_, std::move(argument), *customers_, binding, where, patience);
    if (!outcome) {
      if (outcome.error().code == Errc::timed_out) co_return say_good_bye("4.4.2", "has waited long enough");
      // Interrupted in the middle of an exchange: nothing can follow but the end.
      if (outcome.error().code == Errc::interrupted) co_return say_good_bye("4.3.2", "is being stopped");
      co_return lose(outcome.error());
    }
    if (outcome->succeeded) customer_ = customers_->with_user(outcome->user);
    log_login(*outcome);
    if (customer_ != nullptr) guard_.succeeded(address_);
    if (customer_ == nullptr) co_await after_failure(outcome->mechanism, where);
  }

  void log_login(const server::Authentication& outcome) {
    log_.info("login", {{"result", customer_ != nullptr ? "accepted" : "refused"},
                        {"customer", customer_ != nullptr ? customer_->name : "-"},
                        {"mechanism", outcome.mechanism.empty() ? "unknown" : outcome.mechanism},
                        {"tls", tls() ? tls()->version : "none"}});
  }

  // Guessing is made slow: the reply waits, longer each time, and the third failure is the last. A mechanism that is
  // not on offer tells nothing about a password.
  Task<> after_failure(const std::string& mechanism, const sasl::Situation& where) {
    const auto known = sasl::mechanism_named(mechanism);
    if (!known || !sasl::is_usable(*known, where)) {
      ++errors_;
      co_return;
    }
    ++failures_;
    if (guard_.failed(address_, channel_.clock().now()))
      log_.warn("an address is kept out: too many logins from there have failed", {{"address", address_}});
    const Duration length = options_.first_delay * (1 << std::min(failures_ - 1, 10U));
    co_await net::delay(channel_.clock(), length, stop_);
    if (failures_ >= options_.most_failures) say_good_bye("4.7.0", "has seen too many failed logins");
  }

  // --- ATRN

  // For customers that stay. Who does not say it wants to hear at once that there is nothing.
  void hold(const smtp::Command& command) {
    if (customer_ == nullptr) return refuse(Reply(530, "5.7.0 log in first"));
    if (!command.argument.empty()) return refuse(Reply(501, "5.5.4 XHOLD takes no argument"));
    if (customer_->hold <= Duration::zero()) return refuse(Reply(502, "5.5.1 you are answered at once"));
    wants_hold_ = true;
    channel_.reply(Reply(
        250, "2.0.0 ATRN waits for mail, for " + std::to_string(seconds_of(customer_->hold)) + " seconds at most"));
  }

  Task<> atrn(const std::string& argument) {
    // RFC 2645 5.2.1
    if (customer_ == nullptr) co_return refuse(Reply(530, "5.7.0 log in first"));
    // RFC 2920 3.1: an extension's command ends a group. Were it to turn the line, commands would be taken for replies.
    if (!channel_.stream().buffered().empty()) {
      co_return hang_up_on(answered(argument, Reply(554, "5.5.1 nothing may follow ATRN before its reply")));
    }
    auto granted = co_await answer_to(argument);
    if (is_lost_) co_return;
    if (!granted) co_return channel_.reply(answered(argument, granted.error()));
    channel_.reply(answered(joined(granted->domains), Reply(250, "2.0.0 turning the line round")));
    granted_.emplace(std::move(*granted));
    is_over_ = true;
  }

  Reply answered(const std::string& domains, Reply reply) {
    log_.info("ATRN", {{"customer", customer_->name}, {"domains", domains}, {"reply", reply.joined()}});
    return reply;
  }

  Task<Grant> answer_to(const std::string& argument) {
    if (!customer_->atrn) co_return refused(502, "5.7.1 ATRN is not for you");
    if (!customer_->from.empty() && !customer_->from.has(channel_.stream().peer()))
      co_return refused(450, "4.7.1 not from this address");
    const auto named = smtp::parse_atrn(argument);
    if (!named) co_return refused(named.error().code, named.error().text);
    Domains domains(named->begin(), named->end());
    if (domains.empty()) domains = customer_->domains;
    // RFC 2645 5.2.1: one domain that is not this customer's, and there is mail for none. Whose it is, and whether it
    // exists, must not show.
    const bool all_are_theirs = std::includes(customer_->domains.begin(), customer_->domains.end(),  //
                                              domains.begin(), domains.end());
    if (!all_are_theirs) co_return refused(450, "4.7.1 not all of these domains are yours");
    if (visits_.is_too_soon(*customer_, channel_.clock().now()))
      co_return refused(450, "4.7.0 you have asked a moment ago");
    auto granted = co_await grant(domains);
    const bool waits = customer_->hold > Duration::zero() && (wants_hold_ || customer_->holds_all);
    // Who waits anyway waits for another session of his to let go, too: it may be the one whose line has just died.
    const bool may_change = !granted && (granted.error().code == k_no_mail || granted.error().code == k_not_now);
    if (may_change && waits) {
      auto waited = co_await wait_for_mail(domains);
      co_return waited;
    }
    if (!granted && granted.error().code == k_no_mail) visits_.had_no_mail(*customer_, channel_.clock().now());
    co_return granted;
  }

  static Grant refused(int code, const std::string& text) { return tl::unexpected(Reply(code, text)); }

  Task<Grant> grant(const Domains& domains) {
    const auto looked = co_await held_.look();
    if (!looked) {
      log_.error("the spool cannot be read", {{"why", looked.error().text}});
      co_return refused(451, "4.3.0 the mail cannot be looked at now");
    }
    if (visits_.is_busy(*customer_)) co_return refused(k_not_now, "4.3.2 another session of yours is fetching mail");
    auto claim = held_.claim(domains);
    if (!claim) co_return refused(k_not_now, "4.3.2 another session is fetching this mail");
    if (!held_.has_mail_for(domains)) co_return refused(k_no_mail, "4.0.0 you have no mail");
    Granted granted{domains, std::move(*claim), visits_.begin(*customer_)};
    co_return granted;
  }

  // The reply is ours to give, and nothing may follow ATRN before it: so all that can come is the line's end. Nothing
  // is claimed meanwhile, so that who comes again, his line having died in silence, is not kept out by himself.
  Task<Grant> wait_for_mail(const Domains& domains) {
    log_.info("ATRN waits", {{"customer", customer_->name}, {"domains", joined(domains)}});
    const auto watcher = held_.watch(domains, [this] { channel_.stream().interrupt(); });
    const TimePoint until = channel_.clock().now() + customer_->hold;
    for (;;) {
      auto granted = co_await grant(domains);
      if (granted) co_return granted;
      if (stop_.requested()) co_return refused(k_no_mail, "4.0.0 no mail so far");
      // Nobody tells when another session, which may have died in silence, lets go of what it was being handed.
      const bool is_mail_kept_back = granted.error().code != k_no_mail;
      const TimePoint now = channel_.clock().now();
      if (now >= until && is_mail_kept_back) co_return granted;
      if (now >= until) co_return refused(k_no_mail, "4.0.0 no mail has come");
      const auto filled =
          co_await channel_.stream().fill(is_mail_kept_back ? std::min(until, now + k_ask_again) : until);
      if (filled) co_return broken_off("something came before the reply");
      const bool goes_on = filled.error().code == Errc::interrupted || filled.error().code == Errc::timed_out;
      if (!goes_on) co_return broken_off(filled.error().text);
    }
  }

  Grant broken_off(const std::string& why) {
    lose(Error{Errc::lost, why});
    return refused(k_no_mail, "4.0.0 no mail so far");
  }

  server::Channel channel_;
  const Door& door_;
  const SessionOptions& options_;
  const std::shared_ptr<const Customers> customers_;
  HeldMail& held_;
  Visits& visits_;
  LoginGuard& guard_;
  const std::string address_;  // that logins count for
  Log& log_;
  Stop& stop_;
  TimePoint login_by_;
  bool is_extended_ = false;
  const Customer* customer_ = nullptr;
  bool wants_hold_ = false;
  unsigned failures_ = 0;
  unsigned errors_ = 0;
  unsigned idle_commands_ = 0;
  bool is_over_ = false;
  bool is_lost_ = false;
  std::optional<Granted> granted_;
};

}  // namespace

Task<std::optional<Turn>> speak_to_customer(net::Stream stream, const Door& door, Provider& provider, Log& log,
                                            Stop& stop) {
  Dialogue dialogue(std::move(stream), door, provider, log, stop);
  co_return co_await dialogue.run();
}

}  // namespace odmr::provider
