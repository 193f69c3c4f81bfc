#include "app/test_mail.hpp"

#include <pwd.h>
#include <sysexits.h>
#include <unistd.h>

#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <optional>
#include <utility>

#include "app/confinement.hpp"
#include "app/plan.hpp"
#include "app/run_as.hpp"
#include "app/signal_stop.hpp"
#include "mail/received.hpp"
#include "net/digest.hpp"
#include "net/system_network.hpp"
#include "smtp/command.hpp"
#include "smtp/dot.hpp"

namespace odmr::app {

namespace {

using net::Task;

constexpr auto k_farewell = std::chrono::seconds(5);

std::string own_address(const Settings& settings) {
  if (!settings.outbound->from.empty()) return settings.outbound->from;
  const passwd* user = getpwuid(getuid());
  return (user == nullptr ? std::string("odmr") : std::string(user->pw_name)) + "@" + settings.hostname;
}

std::string message(const Settings& settings, const std::string& sender, const std::string& recipient, WallTime now) {
  return "From: odmr <" + sender + ">\r\nTo: <" + recipient +
         ">\r\nSubject: odmr test message\r\nDate: " + mail::date_time(now) + "\r\nMessage-ID: <" +
         net::hex(net::random_octets(12)) + ".odmr@" + settings.hostname +
         ">\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n"
         "\r\nThis message was sent by \"odmr probe --test-mail\" on " +
         settings.hostname + ".\r\nIt came by the way that [outbound] configures, so that way works.\r\n";
}

class TestMail {
 public:
  TestMail(const Settings& settings, std::string recipient, const std::function<void(const TestStep&)>& on_step,
           Log& log)
      : settings_(settings),
        recipient_(std::move(recipient)),
        on_step_(on_step),
        log_(log),
        network_(loop_),
        signals_(loop_, network_.clock(), stop_, settings.stop_grace, log),
        begun_(network_.clock().now()) {}

  TestMailResult run() {
    const auto server = way_out();
    if (!server) {
      failed("configuration", server.error().text, Outcome::config);
      return result_;
    }
    if (const auto done = become_configured(settings_.run_as, log_); !done) {
      failed("configuration", "run_as: " + done.error().text, Outcome::config);
      return result_;
    }
    shut_in(rules_for_test_mail(settings_), log_);
    asio::co_spawn(loop_, send(*server), [this](const std::exception_ptr& problem) {
      signals_.forget();
      if (problem) std::rethrow_exception(problem);
    });
    loop_.run();
    return result_;
  }

 private:
  Result<client::Server> way_out() {
    if (settings_.outbound->to == OutboundSettings::To::smart_host) {
      auto options = plan_flush(settings_, keyring_);
      if (!options) return fail(options.error());
      patience_ = options->patience;
      return std::move(options->server);
    }
    for (const auto& provider : settings_.providers) {
      if (provider.name != settings_.outbound->provider) continue;
      auto plan = plan_fetch(settings_, provider, keyring_);
      if (!plan) return fail(plan.error());
      return std::move(plan->server);
    }
    return fail(Errc::not_found, "there is no such provider");
  }

  Task<> send(const client::Server& server) {
    const client::OnStep on_step = [this](const client::Reached& reached) {
      good(std::string(client::name(reached.step)), reached.text);
    };
    auto opened = co_await client::open(network_, server, log_, stop_, &on_step);
    if (!opened) co_return not_open(opened.error());
    co_await hand_over(opened->session);
    if (!is_broken_) co_await opened->session.quit(k_farewell);
  }

  // As the flush has it (contract): a connection that is refused, with whatever code, is for later.
  void not_open(const client::OpenFailure& failure) {
    const bool is_special = failure.outcome == Outcome::tls || failure.outcome == Outcome::auth;
    failed(std::string(client::name(failure.step)), failure.text, is_special ? failure.outcome : Outcome::unavailable);
  }

  Task<> hand_over(client::Session& session) {
    const std::string sender = own_address(settings_);
    const auto from = smtp::parse_path("<" + sender + ">", true, false);
    const auto to = smtp::parse_mailbox(recipient_);
    if (!from || !to) co_return failed("mail", (from ? to.error() : from.error()).text, Outcome::config);
    smtp::MailOptions options;
    options.smtputf8 = from->path.mailbox.needs_smtputf8() || to->needs_smtputf8();
    const auto mail = smtp::mail_line(from->path, options);
    const bool was_from_taken = co_await command(session, "mail", mail, patience_.command);
    if (!was_from_taken) co_return;
    const auto rcpt = smtp::rcpt_line(*to);
    const bool was_recipient_taken = co_await command(session, "rcpt", rcpt, patience_.command);
    if (!was_recipient_taken) co_return;
    const Result<std::string> data = "DATA\r\n";
    const bool may_send = co_await command(session, "data", data, patience_.data, 354);
    if (!may_send) co_return;
    co_await content(session, sender);
  }

  Task<> content(client::Session& session, const std::string& sender) {
    smtp::DotEncoder encoder;
    std::string encoded;
    encoder.encode(message(settings_, sender, recipient_, network_.clock().wall()), encoded);
    encoder.finish(encoded);
    const auto early = co_await session.unasked_reply();
    if (!early) co_return lost("message", early.error());
    if (*early) {
      is_broken_ = true;
      co_return failed("message", "the other side answers before the message has come: " + (*early)->joined(),
                       Outcome::unavailable);
    }
    const auto sent = co_await session.send_content(encoded);
    if (!sent) co_return lost("message", sent.error());
    const auto reply = co_await session.read_reply(patience_.final);
    if (!reply) co_return lost("message", reply.error());
    judge("message", *reply, 250);
  }

  Task<bool> command(client::Session& session, std::string name, const Result<std::string>& line, Duration patience,
                     int wanted = 250) {
    if (!line) {
      failed(name, line.error().text, Outcome::config);
      co_return false;
    }
    const auto reply = co_await session.ask(*line, patience);
    if (!reply) {
      lost(name, reply.error());
      co_return false;
    }
    co_return judge(name, *reply, wanted);
  }

  bool judge(const std::string& name, const smtp::Reply& reply, int wanted) {
    if (reply.code == wanted) {
      good(name, reply.joined());
      return true;
    }
    failed(name, "the other side refuses: " + reply.joined(),
           reply.is_permanent() ? Outcome::refused : Outcome::unavailable);
    if (reply.is_permanent()) result_.exit = EX_UNAVAILABLE;
    return false;
  }

  void good(const std::string& name, const std::string& text) { on_step_(TestStep{name, true, text, lap()}); }
  void failed(const std::string& name, const std::string& text, Outcome outcome) {
    result_ = TestMailResult{outcome, exit_status(outcome)};
    on_step_(TestStep{name, false, text, lap()});
  }
  void lost(const std::string& name, const Error& error) {
    is_broken_ = true;
    failed(name, error.text, Outcome::unavailable);
  }

  double lap() {
    const TimePoint now = network_.clock().now();
    return std::chrono::duration<double>(now - std::exchange(begun_, now)).count();
  }

  const Settings& settings_;
  std::string recipient_;
  const std::function<void(const TestStep&)>& on_step_;
  Log& log_;
  Keyring keyring_;
  asio::io_context loop_{1};
  net::SystemNetwork network_;
  Stop stop_;
  SignalStop signals_;
  client::TransactionPatience patience_;
  TimePoint begun_;
  bool is_broken_ = false;
  TestMailResult result_;
};

}  // namespace

TestMailResult send_test_mail(const Settings& settings, const std::string& recipient,
                              const std::function<void(const TestStep&)>& on_step, Log& log) {
  // Never destroyed: a resolver's thread that waits for a dead name server would hold up the end.
  auto* test = new TestMail(settings, recipient, on_step, log);
  return test->run();
}

}  // namespace odmr::app
