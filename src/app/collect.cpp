#include "app/collect.hpp"

#include <set>
#include <utility>

#include "app/remedy.hpp"

namespace odmr::app {

namespace {

using collect::CollectionEnd;
using net::Task;

class Collect {
 public:
  Collect(const FetchPlan& plan, net::Network& network, const Books& books, OnProgress on_progress, Log& log,
          Stop& stop)
      : plan_(plan),
        mailbox_(*plan.mailbox),
        server_(plan.server),
        network_(network),
        books_(books),
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
    co_await until_all_is_looked_at();
    co_await target_.close();
    co_return co_await account_.conclude();
  }

 private:
  // A line that broke after it has brought something is made again at once, and so is one to a mailbox of which one
  // connection sees a part.
  Task<> until_all_is_looked_at() {
    for (bool goes_on = true; goes_on && report_.connections < plan_.max_sessions;) {
      goes_on = co_await connect_once();
      goes_on = goes_on && !stop_.requested() && report_.outcome < Outcome::local_down && !is_budget_used_up_;
    }
  }

  // Whether there is sense in another connection.
  Task<bool> connect_once() {
    // Before we log in: who polls a mailbox for a target that is down wastes everybody's time.
    const auto ready = co_await target_.first().ready();
    is_target_down_ = !ready;
    if (!ready && stop_.requested()) {
      account_.end_stopped();
      co_return false;
    }
    if (!ready && books_.shelf != nullptr) {
      log_.warn("the local target is not ready: mail is kept here", {{"why", ready.error().text}});
    } else if (!ready) {
      end(Outcome::local_down, ready.error().cause, "the local target is not ready: " + ready.error().text);
      co_return false;
    }
    auto opened = co_await reach();
    if (!opened) co_return false;
    co_return co_await look_through(std::move(*opened));
  }

  // A mailbox that is open.
  Task<std::optional<collect::Opened>> reach() {
    account_.begin_connection();
    auto opened = co_await collect::open(network_, server_, mailbox_.place, log_, stop_, &account_.on_step(),
                                         &account_.on_next_host());
    report_.connections += opened ? opened->connections : opened.error().connections;
    if (!opened) {
      account_.connection_failed(opened.error());
      co_return std::nullopt;
    }
    if (opened->host > 0) std::swap(server_.endpoint, server_.alternatives[opened->host - 1]);
    log_.info("logged in", {{"tls", opened->tls}, {"auth", opened->mechanism}});
    co_return std::move(*opened);
  }

  Task<bool> look_through(collect::Opened opened) {
    const auto options = reception_options(*opened.mailbox);
    account_.connection().name = options.connection;
    account_.note_connection();
    receive::Reception reception(options, history_, guard_, target_, books_.journal, books_.bounces, books_.shelf,
                                 books_.files, network_.clock(), log_);
    const auto collection_options = options_of_collection();
    collect::Collection collection(collection_options, mailbox_.addressing, *opened.mailbox, reception, books_.journal,
                                   network_.clock(), log_, stop_);
    const auto ended = co_await collection.run();
    judge(ended, reception);
    account_.connection_over(ended.inside_message ? ended.text + ", inside a message" : ended.text);
    const auto flushed = co_await books_.journal.flush();
    if (!flushed)
      end(Outcome::state, cause_of_state(flushed.error()), "the journal cannot be written: " + flushed.error().text);
    const bool brought_mail = reception.counter().final_answers() > 0;
    const bool is_lost = ended.how == CollectionEnd::How::lost;
    co_return ended.how == CollectionEnd::How::more ? brought_mail : is_lost&& brought_mail;
  }

  receive::ReceptionOptions reception_options(const collect::Mailbox& mailbox) {
    receive::ReceptionOptions options;
    options.hostname = plan_.hostname;
    options.provider = plan_.provider;
    options.provider_address = mailbox.peer();
    options.tls = mailbox.tls();
    options.connection = plan_.session_id + "-" + std::to_string(report_.connections);
    options.scratch_directory = plan_.scratch_directory;
    options.max_hops = plan_.limits.hops;
    options.max_size = plan_.limits.message_size;
    options.max_size_for_now = plan_.largest_for_now;
    options.header_looked_at = plan_.limits.header_size;
    options.max_bytes = plan_.limits.session_size;
    options.until = until_;
    options.soft_bounce = plan_.soft_bounce;
    options.is_target_down = is_target_down_;
    options.mailbox = receive::ReceptionOptions::Mailbox{mailbox.name(), mailbox.with(), mailbox_.bounces_refused};
    options.on_progress = [this](const receive::Tally& tally, std::uint64_t bytes) {
      if (!on_progress_) return;
      receive::Tally so_far = report_.received;
      on_progress_(so_far += tally, bytes);
    };
    return options;
  }

  collect::CollectionOptions options_of_collection() {
    collect::CollectionOptions options;
    options.provider = plan_.provider;
    options.hostname = plan_.hostname;
    options.server = server_.endpoint.host;
    options.keeping = mailbox_.keeping;
    options.unseen_only = mailbox_.unseen_only;
    options.marks_seen = mailbox_.marks_seen;
    options.max_size_for_now = plan_.largest_for_now;
    options.max_size = plan_.limits.message_size;
    const auto of_target = target_.first().abilities().size;
    if (of_target != 0 && (options.max_size == 0 || of_target < options.max_size)) options.max_size = of_target;
    return options;
  }

  void judge(const CollectionEnd& ended, const receive::Reception& reception) {
    const auto& tally = reception.counter().tally();
    report_.received += tally;
    if (tally.messages + tally.rejected + tally.duplicates > 0) end(Outcome::fetched, Cause::unknown, {});
    is_budget_used_up_ = reception.is_budget_used_up();
    if (is_budget_used_up_) log_.info("the budget of this session is used up: what is left comes with the next run");
    const std::string why = "; the first answer was \"" + reception.counter().first_put_off() + "\"";
    if (reception.counter().has_kept())
      end(Outcome::deferred, Cause::mail_kept_here, "some mail was put off: it is kept here" + why);
    else if (reception.counter().has_put_off())
      end(Outcome::deferred, Cause::mail_put_off, "some mail was put off: it stays in the mailbox" + why);
    if (ended.refused > 0) {
      end(Outcome::deferred, Cause::mail_left_there,
          "mail that is refused for good stays in the mailbox, and is tried again with each run: " +
              std::to_string(ended.refused) + "; the first answer was \"" + ended.first_refusal + "\"");
    }
    if (ended.lacks_names) {
      end(Outcome::config, Cause::configuration,
          "the server has no lasting names for messages (UIDL, or UIDVALIDITY), so what is left there would be "
          "delivered with each run: write leave_on_server = false in [provider." +
              plan_.provider + "]");
    }
    if (reception.state_error())
      end(Outcome::state, cause_of_state(*reception.state_error()), reception.state_error()->text);
    if (reception.is_target_at_fault()) {
      end(Outcome::local_down, Cause::target_refuses_all,
          "the local target refused all of the first messages, so no more were offered to it; its last answer was \"" +
              history_.breaker.last_refusal() + "\"");
    }
    judge_line(ended, tally);
    log_.info("line down", {{"how", ended.text},
                            {"messages", std::to_string(tally.messages)},
                            {"rejected", std::to_string(tally.rejected)},
                            {"deferred", std::to_string(tally.deferred)}});
  }

  void judge_line(const CollectionEnd& ended, const receive::Tally& tally) {
    using How = CollectionEnd::How;
    const bool brought_something = tally.messages + tally.rejected + tally.duplicates > 0;
    switch (ended.how) {
      case How::done:
      case How::more:
        break;
      case How::stopped:
        if (stop_.requested()) account_.end_stopped();
        break;
      case How::left:
        end(Outcome::unavailable, Cause::stopped, "stopped inside a message: the grace was over");
        break;
      case How::refused:
        end(Outcome::unavailable, Cause::put_off, ended.text);
        break;
      case How::lost:
        if (stop_.requested())
          account_.end_stopped();
        else if (ended.inside_message)
          end(Outcome::unavailable, Cause::line_lost_in_message, "the line broke inside a message: " + ended.text);
        else if (!brought_something)
          end(Outcome::unavailable, Cause::line_lost, "the line broke: " + ended.text);
        break;
    }
  }

  void end(Outcome outcome, Cause cause, const std::string& text) { account_.end(outcome, cause, text); }

  const FetchPlan& plan_;
  const MailboxPlan& mailbox_;
  client::Server server_;  // the plan's; of several hosts the one that was reached is first
  net::Network& network_;
  const Books& books_;
  OnProgress on_progress_;
  SessionAccount account_;
  SessionReport& report_;  // the account's
  Log& log_;               // likewise
  Stop& stop_;
  receive::Guard guard_;
  deliver::Connections target_;
  const TimePoint until_;
  receive::History history_;
  bool is_target_down_ = false;
  bool is_budget_used_up_ = false;
};

}  // namespace

Task<SessionReport> collect_mail(const FetchPlan& plan, net::Network& network, const Books& books,
                                 OnProgress on_progress, Log& log, Stop& stop) {
  Collect session(plan, network, books, std::move(on_progress), log, stop);
  co_return co_await session.run();
}

}  // namespace odmr::app
