#include "app/ask_to_send.hpp"

#include <utility>

#include "app/remedy.hpp"
#include "trigger/etrn.hpp"

namespace odmr::app {

namespace {

using net::Task;

class Ask {
 public:
  Ask(const FetchPlan& plan, net::Network& network, const Books& books, Log& log, Stop& stop)
      : plan_(plan),
        network_(network),
        books_(books),
        log_(log, {{"session", plan.session_id}, {"provider", plan.provider}}),
        stop_(stop),
        begun_(network.clock().now()),
        report_(report_of_begin(plan, network.clock().wall())) {}

  Task<SessionReport> run() {
    log_.debug("session begins", {{"server", plan_.server.endpoint.text()}});
    co_await note_begin(report_, books_.journal);
    report_.only_asks = true;
    bool goes_on = co_await is_target_ready();
    if (goes_on && plan_.signal) goes_on = co_await signal();
    if (goes_on && !plan_.nodes.empty()) co_await ask_by_etrn();
    co_await conclude();
    co_return std::move(report_);
  }

  // What follows leaves the session's receipts, unless there is nothing to follow. Of a target that is not ready the
  // session has its own to say.
  Task<std::optional<SessionReport>> run_before() {
    if (books_.shelf == nullptr) {
      const bool is_ready = co_await is_target_ready();
      if (!is_ready) co_return std::nullopt;
    }
    const bool is_taken = co_await signal();
    if (is_taken) co_return std::nullopt;
    co_await conclude();
    co_return std::move(report_);
  }

 private:
  Task<> conclude() {
    report_.seconds = std::chrono::duration<double>(network_.clock().now() - begun_).count();
    Scene scene{With::provider, "[provider." + plan_.provider + "]", k_odmr_port};
    if (report_.outcome == Outcome::local_down) scene = Scene{With::target, plan_.deliver_table, 0};
    report_.remedy = remedy(report_.outcome, report_.cause, scene, report_.text);
    log_.debug("session over", {{"outcome", std::string(name(report_.outcome))},
                                {"cause", std::string(name(report_.cause))},
                                {"text", report_.text}});
    co_await note_end(plan_, report_, books_.journal, network_.clock().wall());
  }

  // A provider that finds nobody to take its mail counts a failed attempt for each message, and waits longer the next
  // time. We hand nothing over: the connection ends with the answer.
  Task<bool> is_target_ready() {
    const auto target = deliver::make_target(plan_.target, network_, books_.files, log_, stop_);
    const auto ready = co_await target->ready();
    co_await target->close();
    if (!ready && !stop_.requested())
      end(Outcome::local_down, ready.error().cause, "the local target is not ready: " + ready.error().text);
    if (stop_.requested()) end(Outcome::unavailable, Cause::stopped, "stopped by a signal");
    co_return ready && !stop_.requested();
  }

  // Whether it was taken.
  Task<bool> signal() {
    begin_connection();
    const client::OnStep on_step = [this](const client::Reached& reached) {
      note_reached(plan_, reached, connection_, log_);
    };
    const auto said = co_await trigger::send_signal(network_, *plan_.signal, plan_.timeouts.connect,
                                                    plan_.timeouts.command, log_, stop_, &on_step);
    if (said.connected) ++report_.connections;
    if (!said.heard.empty()) connection_.reply = said.heard;
    if (!said.heard.empty()) report_.reply = said.heard;
    if (said.interrupted)
      end(Outcome::unavailable, Cause::stopped, "stopped by a signal");
    else
      end(said.outcome, said.cause, said.text);
    const bool is_taken = said.outcome == Outcome::no_mail;
    if (is_taken) log_.info("the signal was taken", {{"by", plan_.signal->endpoint.text()}, {"answer", said.heard}});
    // Before a session that goes on the connections are that one's to count.
    if (report_.only_asks || !is_taken) note_connection_over(report_.text);
    co_return is_taken;
  }

  Task<> ask_by_etrn() {
    begin_connection();
    const client::OnStep on_step = [this](const client::Reached& reached) {
      note_reached(plan_, reached, connection_, log_);
    };
    const client::OnNextHost on_next_host = [this](const client::OpenFailure& failure) {
      note_connection_over(failure.text);
      begin_connection();
    };
    auto opened = co_await client::open(network_, plan_.server, log_, stop_, &on_step, &on_next_host);
    report_.connections += opened ? opened->connections : opened.error().connections;
    if (!opened) co_return not_opened(opened.error());
    if (!opened->tls.empty()) report_.tls = opened->tls;
    if (!opened->mechanism.empty()) report_.auth = opened->mechanism;
    log_.info("connected", {{"tls", opened->tls}, {"auth", opened->mechanism}});
    const auto said =
        co_await trigger::say_etrn(std::move(opened->session), plan_.nodes, plan_.timeouts.command, stop_);
    if (said.reply) connection_.reply = said.reply->joined();
    if (said.reply) report_.reply = said.reply->joined();
    // Of the signal nothing has to be said any more.
    report_.text.clear();
    if (said.interrupted)
      end(Outcome::unavailable, Cause::stopped, "stopped by a signal");
    else
      end(said.outcome, said.cause, said.text);
    log_.info("ETRN said", {{"answers", said.text}});
    note_connection_over(said.interrupted ? report_.text : said.text);
  }

  void not_opened(const client::OpenFailure& failure) {
    if (!failure.tls.empty()) report_.tls = failure.tls;
    if (failure.interrupted)
      end(Outcome::unavailable, Cause::stopped, "stopped by a signal");
    else
      end(failure.outcome, failure.cause, failure.text);
    note_connection_over(report_.text);
  }

  void begin_connection() {
    const std::uint64_t number = connection_.number + 1;
    connection_ = journal::ConnectionReceipt();
    connection_.session = plan_.session_id;
    connection_.number = number;
    connection_.started = network_.clock().wall();
  }

  void note_connection_over(const std::string& how) {
    connection_.how = how;
    connection_.ended = network_.clock().wall();
    books_.journal.note(connection_);
  }

  void end(Outcome outcome, Cause cause, const std::string& text) {
    if (outcome < report_.outcome) return;
    report_.outcome = outcome;
    report_.cause = cause;
    report_.text = text;
  }

  const FetchPlan& plan_;
  net::Network& network_;
  const Books& books_;
  ScopedLog log_;
  Stop& stop_;
  const TimePoint begun_;
  SessionReport report_;
  journal::ConnectionReceipt connection_;  // the one in hand
};

}  // namespace

Task<SessionReport> ask_to_send(const FetchPlan& plan, net::Network& network, const Books& books, Log& log,
                                Stop& stop) {
  Ask session(plan, network, books, log, stop);
  co_return co_await session.run();
}

Task<std::optional<SessionReport>> signal_first(const FetchPlan& plan, net::Network& network, const Books& books,
                                                Log& log, Stop& stop) {
  Ask session(plan, network, books, log, stop);
  co_return co_await session.run_before();
}

}  // namespace odmr::app
