#include "provider/dialogue.hpp"

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"
#include "net/delay.hpp"
#include "net/digest.hpp"
#include "provider/push.hpp"
#include "provider/recipient_book.hpp"
#include "provider/recipient_upload.hpp"
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
constexpr unsigned k_most_uploads = 3;
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
  Dialogue(net::Stream stream, const Door& door, Provider& provider, Calls::Line& line, Log& log, Stop& stop)
      : channel_(std::move(stream), log, provider.options.silence),
        door_(door),
        provider_(provider),
        options_(provider.options),
        customers_(provider.customers),
        held_(provider.held),
        network_(provider.network),
        way_out_(provider.way_out),
        allowances_(provider.allowances),
        visits_(provider.visits),
        guard_(provider.guard),
        line_(line),
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
                std::move(granted_->domains),  std::move(granted_->claim),
                std::move(granted_->visit),    wants_keep_ ? customer_->keep : Duration::zero()};
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
    else if (!is_in_mail_)
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
      case Verb::etrn:
        co_await etrn(command.argument);
        break;
      case Verb::xhold:
        hold(command);
        break;
      case Verb::xkeep:
        keep(command);
        break;
      case Verb::xrecipients:
        co_await recipients(command.argument);
        break;
      case Verb::mail:
        co_await take_mail(std::move(command));
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
    hello_ = server::Hello{command.argument, command.verb == Verb::ehlo};
    if (!hello_.is_extended) return channel_.reply(Reply(250, options_.hostname));
    std::vector<std::string> lines{options_.hostname, "ATRN", "ENHANCEDSTATUSCODES", "XEMPTIES"};
    if (const auto longest = seconds_of(customers_->longest_hold()); longest > 0)
      lines.push_back("XHOLD " + std::to_string(longest));
    if (const auto longest = seconds_of(customers_->longest_keep()); longest > 0)
      lines.push_back("XKEEP " + std::to_string(longest));
    if (takes_recipients()) lines.push_back("XRECIPIENTS " + std::to_string(RecipientList::k_most));
    if (takes_etrn()) lines.emplace_back("ETRN");
    if (takes_mail()) add_offer(lines);
    if (wants_starttls()) lines.emplace_back("STARTTLS");
    if (const auto mechanisms = announced_mechanisms(); !mechanisms.empty()) lines.push_back("AUTH" + mechanisms);
    channel_.reply(Reply(250, std::move(lines)));
  }

  // --- mail of the customer's own

  bool takes_mail() const { return way_out_ && customers_->may_send(); }

  // What the smart host does not honour it refuses.
  server::MailSessionOptions mail_options() const {
    server::MailSessionOptions options;
    options.hostname = options_.hostname;
    options.offer.size = way_out_->options.limits.max_size;
    options.offer.smtputf8 = options.offer.chunking = true;
    options.idle = options_.command;
    options.data = options_.content;
    options.silence = options_.silence;
    options.most_errors = options_.most_errors;
    options.limits_cut_transactions = true;
    options.most_idle_commands = options_.most_idle_commands;
    return options;
  }

  void add_offer(std::vector<std::string>& lines) const {
    const auto size = way_out_->options.limits.max_size;
    for (const char* one : {"PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING"}) lines.emplace_back(one);
    lines.push_back(size == 0 ? "SIZE" : "SIZE " + std::to_string(size));
  }

  // RFC 2645 5.1 leaves it to us.
  Task<> take_mail(smtp::Command first) {
    if (!takes_mail()) co_return refuse(Reply(502, "5.5.1 no such command here"));
    if (customer_ == nullptr) co_return refuse(Reply(530, "5.7.0 log in first"));
    if (!customer_->outbound) co_return refuse(Reply(502, "5.5.1 no mail is taken from you here"));
    auto caller = intake::Caller::of(channel_.stream().peer());
    caller.name = customer_->name;
    caller.has_tls = tls().has_value();
    caller.is_logged_in = true;
    const std::string session = net::hex(net::random_octets(6));
    Relay relay(*way_out_, *customer_, caller, session, allowances_, network_, log_, stop_);
    const auto options = mail_options();
    is_in_mail_ = true;
    auto part = co_await server::serve_mail_part(channel_, hello_, std::move(first), relay, options, stop_);
    is_in_mail_ = false;
    co_await relay.close();
    line_.passed_on(relay.passed_on());
    if (!part.end) co_return co_await obey(std::move(part.next));
    using How = server::SessionEnd::How;
    if (part.end->how == How::lost || part.end->how == How::left)
      lose(Error{Errc::lost, part.end->text});
    else
      is_over_ = true;
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
    hello_ = {};
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
    if (!hello_.is_extended) co_return refuse(Reply(503, "5.5.1 EHLO first"));
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
    if (customer_ == nullptr) line_.login_refused();
    if (customer_ != nullptr) line_.logged_in(customer_->name);
    if (customer_ != nullptr) guard_.succeeded(address_);
    if (customer_ == nullptr) co_await after_failure(outcome->mechanism, where);
  }

  void log_login(const server::Authentication& outcome) {
    log_.info("login", {{"result", customer_ != nullptr ? "accepted" : "refused"},
                        {"customer", customer_ != nullptr ? customer_->name : "-"},
                        {"mechanism", outcome.mechanism.empty() ? "unknown" : outcome.mechanism},
                        {"tls", tls() ? tls()->version : "none"}});
    if (outcome.user_without_password.empty()) return;
    const Customer* const customer = customers_->with_user(outcome.user_without_password);
    log_.warn("login", {{"customer", customer == nullptr ? "-" : customer->name},
                        {"why", outcome.mechanism + " needs the password itself, and only a verifier of SCRAM-SHA-256 "
                                                    "is kept: odmrd customer password --cram-md5 keeps it"}});
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

  // --- the recipients that there are

  bool takes_recipients() const { return provider_.recipients != nullptr && customers_->may_upload_recipients(); }

  Task<> recipients(const std::string& argument) {
    if (!takes_recipients()) co_return refuse(Reply(502, "5.5.1 no such command here"));
    if (customer_ == nullptr) co_return refuse(Reply(530, "5.7.0 log in first"));
    if (!customer_->uploads_recipients) co_return refuse(Reply(502, "5.5.1 no list is taken from you"));
    if (argument.empty()) co_return tell_recipients();
    const auto blank = argument.find(' ');
    const auto count =
        blank == std::string::npos ? std::nullopt : parse_number(std::string_view(argument).substr(blank + 1));
    if (!count) co_return refuse(Reply(501, "5.5.4 XRECIPIENTS takes the salt, and how many lines there will be"));
    if (salt_.empty() || argument.substr(0, blank) != salt_)
      co_return refuse(Reply(501, "5.5.4 the salt is what XRECIPIENTS alone is told"));
    if (*count > RecipientList::k_most)
      co_return refuse(Reply(552, "5.3.4 at most " + std::to_string(RecipientList::k_most) + " recipients are taken"));
    if (uploads_ >= k_most_uploads) co_return refuse(Reply(450, "4.7.0 enough lists have come in this session"));
    if (!provider_.recipients->has_room_for_upload(customer_->name))
      co_return refuse(Reply(450, "4.3.2 too many lists are on their way"));
    co_await take_recipients(*count);
  }

  void tell_recipients() {
    ++idle_commands_;
    const auto list = provider_.recipients->of(customer_->name);
    if (list) salt_ = list->salt;
    if (salt_.empty()) salt_ = net::hex(net::random_octets(RecipientList::k_salt / 2));
    const std::string standing =
        list ? list->fingerprint() + " " + std::to_string(list->count()) : std::string("none 0");
    channel_.reply(Reply(250, "2.0.0 " + salt_ + " " + standing));
  }

  Task<> take_recipients(std::size_t count) {
    const RecipientBook::Upload upload(*provider_.recipients, customer_->name);
    ++uploads_;
    channel_.reply(Reply(354, "the list, and a dot alone"));
    auto octets = co_await read_upload(channel_, count, channel_.clock().now() + options_.upload);
    if (!octets) co_return break_off_upload(octets.error());
    if (!*octets) co_return refuse(octets->error());
    RecipientList list{salt_, std::move(**octets), channel_.clock().wall()};
    const auto stored = co_await provider_.recipients->put(customer_->name, std::move(list));
    log_.info("recipients told", {{"customer", customer_->name},
                                  {"count", std::to_string(count)},
                                  {"result", stored ? "stored" : stored.error().text}});
    if (stored)
      channel_.reply(Reply(250, "2.0.0 " + std::to_string(count) + " recipients"));
    else
      refuse(Reply(stored.error().code == Errc::no_space ? 452 : 451, "4.3.0 the list cannot be stored now"));
  }

  // Lines of a list are left that would be taken for commands.
  void break_off_upload(const Error& error) {
    if (error.code == Errc::timed_out)
      say_good_bye("4.4.2", "has waited long enough");
    else if (error.code == Errc::interrupted)
      say_good_bye("4.3.2", "is being stopped");
    else if (error.code == Errc::too_long)
      say_good_bye("4.7.0", "has heard more lines than were announced");
    else
      lose(error);
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

  void keep(const smtp::Command& command) {
    if (customer_ == nullptr) return refuse(Reply(530, "5.7.0 log in first"));
    if (!command.argument.empty()) return refuse(Reply(501, "5.5.4 XKEEP takes no argument"));
    if (customer_->keep <= Duration::zero()) return refuse(Reply(502, "5.5.1 your line is not kept"));
    wants_keep_ = true;
    channel_.reply(Reply(250, "2.0.0 the turned line is kept when all is sent, for " +
                                  std::to_string(seconds_of(customer_->keep)) + " seconds at most"));
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
    line_.answered(reply.joined(), reply.code);
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
    const Calls::Line::Wait waiting(line_);
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

  // --- ETRN

  bool takes_etrn() const { return provider_.begin_push && customers_->may_say_etrn(); }

  // RFC 1985 5.3
  Task<> etrn(const std::string& argument) {
    if (!takes_etrn()) co_return refuse(Reply(502, "5.5.1 no such command here"));
    const auto named = smtp::parse_etrn(argument);
    if (!named) co_return refuse(Reply(named.error().code, named.error().text));
    Reply reply = co_await answer_to(*named);
    log_.info(
        "ETRN",
        {{"customer", customer_ != nullptr ? customer_->name : "-"}, {"node", argument}, {"reply", reply.joined()}});
    line_.answered(reply.joined(), reply.code);
    if (reply.is_positive())
      channel_.reply(reply);
    else
      refuse(reply);
  }

  // Whose mail is meant; null: nobody's who may ask for it here.
  const Customer* customer_of(const smtp::EtrnCommand& named) const {
    const bool is_queue = named.kind == smtp::EtrnCommand::Kind::queue;
    const Customer* const owner = is_queue ? customers_->with_name(named.name) : customers_->with_domain(named.name);
    if (customer_ == nullptr) return owner != nullptr && owner->etrn && owner->etrn->without_login ? owner : nullptr;
    const bool is_own = is_queue ? owner == customer_ : true;
    return is_own && customer_->etrn ? customer_ : nullptr;
  }

  static Domains domains_of(const Customer& customer, const smtp::EtrnCommand& named) {
    using Kind = smtp::EtrnCommand::Kind;
    if (named.kind == Kind::queue) return customer.domains;
    Domains domains;
    for (const auto& domain : customer.domains) {
      const bool is_below = named.kind == Kind::with_all_below && domain.ends_with("." + named.name);
      if (domain == named.name || is_below) domains.insert(domain);
    }
    return domains;
  }

  // Whose a domain is, and whether it exists, must not show: all that is not for the caller is refused alike. Nor is a
  // stranger told how much waits.
  Task<Reply> answer_to(const smtp::EtrnCommand& named) {
    const Customer* const customer = customer_of(named);
    const auto domains = customer == nullptr ? Domains() : domains_of(*customer, named);
    const bool is_from_there =
        customer == nullptr || customer->from.empty() || customer->from.has(channel_.stream().peer());
    const bool is_stranger = customer_ == nullptr;
    if (domains.empty() || !is_from_there)
      co_return Reply(459, is_stranger ? "4.7.1 not allowed here without a login" : "4.7.1 not allowed to you");
    if (visits_.is_too_soon(*customer, channel_.clock().now()))
      co_return Reply(458, "4.7.0 it has been asked for a moment ago");
    auto reply = co_await begin_push(*customer, domains);
    if (is_stranger && reply.is_positive()) co_return Reply(250, "2.0.0 what is waiting is being sent");
    co_return reply;
  }

  Task<Reply> begin_push(const Customer& customer, const Domains& domains) {
    const auto looked = co_await held_.look();
    if (!looked) {
      log_.error("the spool cannot be read", {{"why", looked.error().text}});
      co_return Reply(458, "4.3.0 the mail cannot be looked at now");
    }
    const auto waiting = held_.waiting().sums(domains).messages;
    if (waiting == 0) {
      visits_.had_no_mail(customer, channel_.clock().now());
      co_return Reply(251, "2.0.0 no messages are waiting");
    }
    auto claim = visits_.is_busy(customer) ? std::nullopt : held_.claim(domains);
    if (!claim && visits_.is_under_way(customer)) co_return Reply(250, "2.0.0 they are being sent already");
    // The Notifier has it for a moment. Who heard 250 would wait for mail that nobody sends.
    if (!claim) co_return Reply(458, "4.3.2 they are being looked through: ask again in a moment");
    Push push{std::shared_ptr<const Customer>(customers_, &customer), domains, std::move(*claim),
              visits_.begin(customer), intake::Caller::of(channel_.stream().peer()).address};
    provider_.begin_push(std::move(push));
    co_return Reply(253, "2.0.0 " + std::to_string(waiting) + " pending messages started");
  }

  server::Channel channel_;
  const Door& door_;
  Provider& provider_;
  const SessionOptions& options_;
  const std::shared_ptr<const Customers> customers_;
  HeldMail& held_;
  net::Network& network_;
  const std::shared_ptr<const WayOut> way_out_;
  Allowances& allowances_;
  Visits& visits_;
  LoginGuard& guard_;
  Calls::Line& line_;
  const std::string address_;  // that logins count for
  Log& log_;
  Stop& stop_;
  TimePoint login_by_;
  server::Hello hello_;
  const Customer* customer_ = nullptr;
  bool wants_hold_ = false;
  bool wants_keep_ = false;
  std::string salt_;  // of the list of recipients, once it is told
  unsigned uploads_ = 0;
  bool is_in_mail_ = false;
  unsigned failures_ = 0;
  unsigned errors_ = 0;
  unsigned idle_commands_ = 0;
  bool is_over_ = false;
  bool is_lost_ = false;
  std::optional<Granted> granted_;
};

}  // namespace

Task<std::optional<Turn>> speak_to_customer(net::Stream stream, const Door& door, Provider& provider, Calls::Line& line,
                                            Log& log, Stop& stop) {
  Dialogue dialogue(std::move(stream), door, provider, line, log, stop);
  co_return co_await dialogue.run();
}

}  // namespace odmr::provider
