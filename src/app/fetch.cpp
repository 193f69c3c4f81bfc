#include "app/fetch.hpp"

#include <set>
#include <utility>

#include "app/refusal.hpp"
#include "app/remedy.hpp"
#include "server/channel.hpp"
#include "smtp/command.hpp"
#include "turn/recipients.hpp"
#include "turn/turn.hpp"

namespace odmr::app {

namespace {

using net::Task;
using server::SessionEnd;

// A line that was given back sooner, and without mail, was not held: who took that for a hold would come again and
// again.
constexpr auto k_least_hold = std::chrono::seconds(10);

class Fetch {
 public:
  Fetch(const FetchPlan& plan, net::Network& network, const Books& books, BeforeTurn* before_turn,
        OnProgress on_progress, Log& log, Stop& stop, HeldLines* held_lines)
      : plan_(plan),
        server_(plan.server),
        network_(network),
        books_(books),
        before_turn_(before_turn),
        held_lines_(plan.limits.session_time ? nullptr : held_lines),
        on_progress_(std::move(on_progress)),
        account_(plan, network.clock(), books.journal, log),
        report_(account_.report()),
        log_(account_.log()),
        stop_(stop),
        guard_(std::set<std::string>(plan.domains.begin(), plan.domains.end())),
        target_(
            plan.target.max_connections,
            [this](Stop& own) { return deliver::make_target(plan_.target, network_, books_.files, log_, own); }, log_,
            stop),
        until_(plan.limits.session_time ? network.clock().now() + *plan.limits.session_time : TimePoint::max()),
        history_(plan.breaker) {}

  Task<SessionReport> run() {
    co_await account_.begin();
    co_await all_groups();
    co_await target_.close();
    report_.holds = report_.holds || (held_lines_ != nullptr && is_held_ && report_.received.messages > 0);
    co_return co_await account_.conclude(plan_.server.endpoint.port);
  }

 private:
  // What one connection came to.
  struct Connection {
    bool turned = false;
    bool brought_mail = false;  // some message got a final answer
    bool is_emptied = false;    // the provider has said that there is nothing more
  };

  Task<> all_groups() {
    // RFC 5321 4.5.3.1.4: a list of domains longer than a command line takes several ATRN, and so several sessions.
    const auto groups =
        plan_.atrn_all ? std::vector<std::vector<std::string>>{{}} : smtp::split_for_atrn(plan_.domains);
    // Who waited for the mail of some domains would leave that of the others where it is.
    if (groups.size() > 1) held_lines_ = nullptr;
    for (const auto& group : groups) {
      const bool goes_on = co_await until_empty(group);
      if (!goes_on) co_return;
    }
  }

  // Asks for one group of domains until that brings nothing more: a provider may hand over one message a session
  // (Exim under TLS), or five hundred. Gives whether there is sense in asking for other groups.
  Task<bool> until_empty(const std::vector<std::string>& domains) {
    for (bool is_follow_up = false;; is_follow_up = true) {
      if (is_follow_up && (report_.connections >= plan_.max_sessions || stop_.requested()))
        co_return !stop_.requested();
      const auto connection = co_await connect_once(domains, is_follow_up);
      if (!connection.turned && !is_follow_up) co_return report_.outcome == Outcome::no_mail;
      if (report_.outcome == Outcome::local_down || report_.outcome == Outcome::state) co_return false;
      if (is_budget_used_up_) co_return false;
      // Asked again, the provider would send it once more, all of it, and it costs.
      if (history_.has_read_in_vain) co_return !stop_.requested();
      if (!connection.brought_mail || connection.is_emptied) co_return !stop_.requested();
    }
  }

  Task<Connection> connect_once(const std::vector<std::string>& domains, bool is_follow_up) {
    // Before ATRN, not after it: a provider that finds nobody to take its mail counts a failed attempt for each
    // message, and waits longer the next time.
    const auto ready = co_await target_.first().ready();
    is_target_down_ = !ready;
    if (!ready && stop_.requested()) {
      account_.end_stopped();
      co_return Connection();
    }
    if (!ready && books_.shelf != nullptr) {
      log_.warn("the local target is not ready: mail is kept here", {{"why", ready.error().text}});
    } else if (!ready) {
      if (!is_follow_up)
        end(Outcome::local_down, ready.error().cause, "the local target is not ready: " + ready.error().text);
      co_return Connection();
    }
    auto turned = co_await reach_and_turn(domains, is_follow_up);
    if (!turned) co_return Connection();
    if (turned->held) {
      const bool is_still_ready = co_await look_again();
      if (!is_still_ready) {
        co_await turn_away(std::move(turned->stream));
        co_return Connection();
      }
    }
    co_return co_await receive(std::move(*turned), is_follow_up);
  }

  // Whether the target was ready before the line was held is of no use now.
  Task<bool> look_again() {
    const auto ready = co_await target_.first().ready();
    is_target_down_ = !ready;
    if (ready) co_return true;
    if (stop_.requested()) {
      account_.end_stopped();
      co_return false;
    }
    if (books_.shelf != nullptr) {
      log_.warn("the local target is not ready: mail is kept here", {{"why", ready.error().text}});
      co_return true;
    }
    end(Outcome::local_down, ready.error().cause,
        "the local target is not ready any more, the line having been held: " + ready.error().text);
    co_return false;
  }

  // 421, and nothing but that: whoever hears it keeps all of his mail (RFC 5321 3.8), where of a close, or a 554, Exim
  // makes a bounce of the first message.
  Task<> turn_away(net::Stream stream) {
    server::Channel channel(std::move(stream), log_, plan_.timeouts.command);
    channel.reply(smtp::Reply(421, "4.3.2 " + plan_.hostname + " cannot take mail now"));
    co_await channel.flush();
    co_await channel.stream().finish();
    account_.connection_over("421 in place of a greeting: " + report_.text);
  }

  Task<std::optional<turn::Turned>> reach_and_turn(const std::vector<std::string>& domains, bool is_follow_up) {
    auto session = co_await reach(is_follow_up);
    if (session && !is_follow_up) co_await tell_recipients(*session);
    bool has_other_work = is_follow_up;
    if (session && before_turn_ != nullptr && before_turn_->has_something()) {
      has_other_work = true;  // and what became of it is to be told
      const auto said = co_await std::exchange(before_turn_, nullptr)->speak(*session);
      // Whatever became of the outbound mail, the mail that waits there is fetched: on a new connection if need be.
      if (!said) {
        account_.connection_over("given up before ATRN: " + said.error().text);
        auto again = co_await reach(is_follow_up);
        session.reset();
        if (again) session.emplace(std::move(*again));
      }
    }
    if (!session) co_return std::nullopt;
    const bool may_be_held = held_lines_ != nullptr && !is_follow_up && turn::may_be_held(*session);
    if (may_be_held) co_await get_held(*session, has_other_work);
    is_kept_ = false;
    if (!has_other_work) co_await get_kept(*session);
    if (may_be_held && is_held_) {
      auto turned = co_await wait_for_turn(std::move(*session), domains);
      co_return heard(std::move(turned), is_follow_up);
    }
    if (may_be_held && stop_.requested()) {
      session->close();
      account_.connection_over("stopped by a signal");
      account_.end_stopped();
      co_return std::nullopt;
    }
    auto turned = co_await turn::turn_round(std::move(*session), domains, plan_.timeouts.atrn, stop_);
    co_return heard(std::move(turned), is_follow_up);
  }

  // Whether the provider wants to know is its own affair, and so is what it makes of it. A line that breaks shows at
  // the next step.
  Task<> tell_recipients(client::Session& session) {
    if (!plan_.recipients || !turn::takes_recipients(session)) co_return;
    const auto told = co_await turn::tell_recipients(session, *plan_.recipients, plan_.timeouts.command, stop_);
    if (!told)
      log_.warn("the provider could not be told our recipients", {{"why", told.error().text}});
    else if (told->how == turn::RecipientsTold::How::refused)
      log_.warn("the provider takes no list of our recipients", {{"why", told->text}});
    else if (told->how == turn::RecipientsTold::How::told)
      log_.info("the provider was told our recipients", {{"count", told->text}});
  }

  Task<> get_held(client::Session& session, bool has_other_work) {
    if (has_other_work || !held_lines_->are_wanted()) {
      report_.holds = true;
      co_return;
    }
    is_held_ = co_await turn::ask_to_be_held(session, plan_.timeouts.command, stop_);
    if (!is_held_) log_.debug("the line is not held for us");
  }

  Task<> get_kept(client::Session& session) {
    if (held_lines_ == nullptr || !held_lines_->are_wanted() || stop_.requested()) co_return;
    if (!turn::may_be_kept(session)) co_return;
    is_kept_ = co_await turn::ask_to_be_kept(session, plan_.timeouts.command, stop_);
    if (!is_kept_) log_.debug("the turned line is not kept for us");
  }

  // The turned line while it is kept: it waits for mail, as one that is held does.
  class Rest final : public server::KeptLine {
   public:
    Rest(Fetch& fetch, receive::ReceptionOptions& options) : fetch_(fetch), options_(options) {}

    Stop& enough() override { return fetch_.held_lines_->enough(); }

    Task<> rests() override {
      // At the second NOOP nothing has come for a while: the target has others to serve, and would not wait for so
      // long.
      if (wait_) {
        fetch_.report_.holds = fetch_.report_.holds || fetch_.is_held_;
        co_return co_await fetch_.target_.close();
      }
      const auto kept = co_await fetch_.books_.journal.flush();
      static_cast<void>(kept);  // the log tells where it fails
      fetch_.log_.debug("the line is kept, and waits for mail");
      wait_.emplace(*fetch_.held_lines_);
    }

    Task<Result<void>> wakes() override {
      wait_.reset();
      const bool is_ready = co_await fetch_.look_again();
      options_.is_target_down = fetch_.is_target_down_;
      if (!is_ready) co_return fail(Errc::busy, "cannot take mail now");
      co_return Result<void>();
    }

   private:
    Fetch& fetch_;
    receive::ReceptionOptions& options_;
    std::optional<HeldLines::Wait> wait_;
  };

  Task<tl::expected<turn::Turned, turn::NotTurned>> wait_for_turn(client::Session session,
                                                                  std::vector<std::string> domains) {
    // It has others to serve, and would not wait for so long.
    co_await target_.first().close();
    log_.debug("ATRN waits for mail, the line is held");
    std::optional<HeldLines::Wait> wait(std::in_place, *held_lines_);
    auto turned = co_await turn::turn_round(std::move(session), std::move(domains), plan_.timeouts.atrn, stop_,
                                            &held_lines_->enough());
    wait.reset();
    const Duration held = (turned ? turned->held : turned.error().held).value_or(Duration::zero());
    report_.holds = held >= k_least_hold || (!turned && turned.error().is_broken_off);
    co_return turned;
  }

  // The answer to ATRN.
  std::optional<turn::Turned> heard(tl::expected<turn::Turned, turn::NotTurned> turned, bool is_follow_up) {
    const auto& reply = turned ? std::optional(turned->reply) : turned.error().reply;
    if (reply && !report_.reply) report_.reply = reply->joined();
    if (reply) account_.connection().reply = reply->joined();
    if (reply && plan_.lane) plan_.lane->on_reply();
    if (!turned) {
      if (turned.error().is_broken_off)
        broken_off(turned.error().text);
      else
        not_turned(turned.error(), is_follow_up);
      return std::nullopt;
    }
    return std::move(*turned);
  }

  // Nothing was fetched, and nothing is wrong.
  void broken_off(const std::string& why) {
    account_.connection_over(why);
    end(Outcome::no_mail, Cause::unknown, why);
  }

  // A conversation that is logged in.
  Task<std::optional<client::Session>> reach(bool is_follow_up) {
    account_.begin_connection();
    auto opened = co_await client::open(network_, server_, log_, stop_, &account_.on_step(), &account_.on_next_host());
    report_.connections += opened ? opened->connections : opened.error().connections;
    if (!opened) {
      not_turned(opened.error(), is_follow_up);
      co_return std::nullopt;
    }
    prefer(opened->host);
    log_.info("logged in", {{"tls", opened->tls}, {"auth", opened->mechanism}});
    co_return std::move(opened->session);
  }

  // Mail is where it was: the host that let us in is asked first the next time.
  void prefer(std::size_t host) {
    if (host > 0) std::swap(server_.endpoint, server_.alternatives[host - 1]);
  }

  /// `failure`: of opening, or of the turn.
  template <class Failure>
  void not_turned(const Failure& failure, bool is_follow_up) {
    account_.connection_over(failure.interrupted ? "stopped by a signal" : failure.text);
    if (failure.interrupted) {
      account_.end_stopped();
    } else if (is_follow_up) {
      // Asking again was our idea: a refusal (450: too soon) says nothing about what we came for.
      log_.debug("asking again brought nothing", {{"why", failure.text}});
    } else {
      end(failure.outcome, failure.cause, failure.outcome == Outcome::no_mail ? std::string() : failure.text);
    }
  }

  Task<Connection> receive(turn::Turned turned, bool is_follow_up) {
    receive::ReceptionOptions options;
    options.hostname = plan_.hostname;
    options.provider_address = turned.stream.peer();
    if (turned.stream.tls()) options.tls = turned.stream.tls()->version + " " + turned.stream.tls()->cipher;
    options.provider = plan_.provider;
    options.connection =
        plan_.session_id + "-" + std::to_string(plan_.lane ? account_.connection().number : report_.connections);
    options.scratch_directory = plan_.scratch_directory;
    options.on_progress = [this](const receive::Tally& tally, std::uint64_t bytes) {
      if (!on_progress_) return;
      receive::Tally so_far = report_.received;
      on_progress_(so_far += tally, bytes);
    };
    account_.connection().name = options.connection;
    account_.note_connection();
    options.max_hops = plan_.limits.hops;
    options.max_size = plan_.limits.message_size;
    options.max_size_for_now = plan_.largest_for_now;
    options.header_looked_at = plan_.limits.header_size;
    options.max_bytes = plan_.limits.session_size;
    options.until = until_;
    options.soft_bounce = plan_.soft_bounce;
    options.is_target_down = is_target_down_;
    receive::Reception reception(options, history_, guard_, target_, books_.journal, books_.bounces, books_.shelf,
                                 books_.files, network_.clock(), log_);
    auto session_options = mail_session_options();
    std::optional<Rest> rest;
    if (is_kept_) session_options.kept = &rest.emplace(*this, options);
    const auto ended = co_await server::serve_mail(std::move(turned.stream), reception, session_options, log_, stop_);
    rest.reset();
    judge(ended, reception, is_follow_up);
    account_.connection_over(ended.inside_transaction ? ended.text + ", inside a message" : ended.text);
    // The next connection must not take new mail for what this one has certainly told of.
    const auto flushed = co_await books_.journal.flush();
    if (!flushed) {
      end(Outcome::state, cause_of_state(flushed.error()), "the journal cannot be written: " + flushed.error().text);
    }
    const bool is_emptied =
        (turned.is_emptied && ended.how == SessionEnd::How::quit) || ended.how == SessionEnd::How::made_way;
    co_return Connection{true, reception.counter().final_answers() > 0, is_emptied};
  }

  server::MailSessionOptions mail_session_options() {
    server::MailSessionOptions options;
    options.hostname = plan_.hostname;
    const auto& able = target_.first().abilities();
    options.offer.size = able.size;
    options.offer.smtputf8 = able.smtputf8;
    options.offer.dsn = able.dsn;
    options.offer.prdr = plan_.target.kind == deliver::TargetOptions::Kind::lmtp;
    options.offer.chunking = options.offer.once = true;
    const auto own = plan_.limits.message_size;
    if (own != 0 && (able.size == 0 || own < able.size)) options.offer.size = own;
    options.mend_stray_newlines = plan_.mend_stray_newlines;
    options.soft_bounce = plan_.soft_bounce;
    options.longest_line = plan_.limits.command_line;
    options.most_recipients = plan_.limits.recipients;
    options.most_errors = plan_.limits.errors;
    options.most_idle_commands = plan_.limits.idle_commands;
    options.least_rate = plan_.limits.data_rate;
    options.first_command = plan_.timeouts.atrn;
    options.idle = plan_.timeouts.idle;
    options.data = plan_.timeouts.data;
    options.silence = plan_.timeouts.command;
    return options;
  }

  // The outcome of a turned line (contract: "Outcome and exit status").
  void judge(const SessionEnd& ended, const receive::Reception& reception, bool is_follow_up) {
    const auto& tally = reception.counter().tally();
    report_.received += tally;
    if (tally.messages + tally.rejected + tally.duplicates > 0) end(Outcome::fetched, Cause::unknown, {});
    is_budget_used_up_ = reception.is_budget_used_up();
    if (is_budget_used_up_) log_.info("the budget of this session is used up: what is left comes with the next run");
    const std::string why = "; the first answer was \"" + reception.counter().first_put_off() + "\"";
    if (reception.counter().has_kept())
      end(Outcome::deferred, Cause::mail_kept_here, "some mail was put off: it is kept here" + why);
    else if (reception.counter().has_put_off())
      end(Outcome::deferred, Cause::mail_put_off, "some mail was put off: the provider keeps it" + why);
    if (reception.state_error())
      end(Outcome::state, cause_of_state(*reception.state_error()), reception.state_error()->text);
    const bool brought_nothing = tally.messages + tally.rejected + tally.duplicates + tally.deferred == 0;
    if (reception.is_target_at_fault()) {
      end(Outcome::local_down, Cause::target_refuses_all,
          "the local target refused all of the first messages, so the line was closed to keep the provider from "
          "bouncing the rest; its last answer was \"" +
              history_.breaker.last_refusal() + "\"");
    }
    switch (ended.how) {
      case SessionEnd::How::quit:
        break;
      case SessionEnd::How::lost:
        if (ended.inside_transaction)
          end(Outcome::unavailable, Cause::line_lost_in_message, "the line broke inside a message: " + ended.text);
        else if (brought_nothing && !is_follow_up)
          end(Outcome::unavailable, Cause::line_lost, "the line broke: " + ended.text);
        break;
      case SessionEnd::How::made_way:
        report_.holds = report_.holds || is_held_;
        // Nothing more was there when the provider began to keep the line.
        if (brought_nothing)
          end(Outcome::no_mail, Cause::unknown,
              std::string("the wait for mail, with the line kept, ") +
                  (stop_.requested() ? "was ended by a signal" : "made way for other work"));
        break;
      case SessionEnd::How::left:
        end(Outcome::unavailable, Cause::stopped,
            ended.inside_transaction ? "stopped inside a message: the grace was over" : "stopped by a signal");
        break;
      case SessionEnd::How::stopped:
        if (stop_.requested())
          account_.end_stopped();
        else if (is_budget_used_up_ && brought_nothing && !is_follow_up)
          // Only QUIT, or 453, says that there is no mail.
          end(Outcome::unavailable, Cause::no_answer, "the provider sent nothing in the time that a session may take");
        else if (!reception.is_target_at_fault() && !reception.state_error() && !is_budget_used_up_)
          end(Outcome::protocol, Cause::nothing_but_errors, "the provider sends nothing but errors");
        break;
    }
    log_.info("line down", {{"how", ended.text},
                            {"messages", std::to_string(tally.messages)},
                            {"rejected", std::to_string(tally.rejected)},
                            {"deferred", std::to_string(tally.deferred)}});
  }

  void end(Outcome outcome, Cause cause, const std::string& text) { account_.end(outcome, cause, text); }

  const FetchPlan& plan_;
  client::Server server_;  // the plan's; of several hosts the one that was reached is first
  net::Network& network_;
  const Books& books_;
  BeforeTurn* before_turn_;  // null once it has had its say
  HeldLines* held_lines_;    // null where no line is held
  OnProgress on_progress_;
  SessionAccount account_;
  SessionReport& report_;  // the account's
  Log& log_;               // likewise
  Stop& stop_;
  receive::Guard guard_;
  deliver::Connections target_;
  const TimePoint until_;
  receive::History history_;
  bool is_held_ = false;  // the first ATRN was to wait for mail
  bool is_kept_ = false;  // the provider is to keep the turned line
  bool is_target_down_ = false;
  bool is_budget_used_up_ = false;
};

}  // namespace

Task<SessionReport> fetch(const FetchPlan& plan, net::Network& network, const Books& books, BeforeTurn* before_turn,
                          OnProgress on_progress, Log& log, Stop& stop, HeldLines* held_lines) {
  Fetch session(plan, network, books, before_turn, std::move(on_progress), log, stop, held_lines);
  co_return co_await session.run();
}

}  // namespace odmr::app
