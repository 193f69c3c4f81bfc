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
        account_(plan, network.clock(), books.journal, log),
        report_(account_.report()),
        log_(account_.log()),
        stop_(stop) {}

  Task<SessionReport> run() {
    co_await account_.begin();
    report_.only_asks = true;
    bool goes_on = co_await is_target_ready();
    if (goes_on && plan_.signal) goes_on = co_await signal();
    if (goes_on && !plan_.nodes.empty()) co_await ask_by_etrn();
    co_return co_await account_.conclude();
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
    co_return co_await account_.conclude();
  }

 private:
  // A provider that finds nobody to take its mail counts a failed attempt for each message, and waits longer the next
  // time. We hand nothing over: the connection ends with the answer.
  Task<bool> is_target_ready() {
    const auto target = deliver::make_target(plan_.target, network_, books_.files, log_, stop_);
    const auto ready = co_await target->ready();
    co_await target->close();
    if (!ready && !stop_.requested())
      end(Outcome::local_down, ready.error().cause, "the local target is not ready: " + ready.error().text);
    if (stop_.requested()) account_.end_stopped();
    co_return ready && !stop_.requested();
  }

  // Whether it was taken.
  Task<bool> signal() {
    account_.begin_connection();
    const auto said = co_await trigger::send_signal(network_, *plan_.signal, plan_.timeouts.connect,
                                                    plan_.timeouts.command, log_, stop_, &account_.on_step());
    if (said.connected) ++report_.connections;
    if (!said.heard.empty()) account_.connection().reply = said.heard;
    if (!said.heard.empty()) report_.reply = said.heard;
    if (said.interrupted)
      account_.end_stopped();
    else
      end(said.outcome, said.cause, said.text);
    const bool is_taken = said.outcome == Outcome::no_mail;
    if (is_taken) log_.info("the signal was taken", {{"by", plan_.signal->endpoint.text()}, {"answer", said.heard}});
    // Before a session that goes on the connections are that one's to count.
    if (report_.only_asks || !is_taken) account_.connection_over(report_.text);
    co_return is_taken;
  }

  Task<> ask_by_etrn() {
    account_.begin_connection();
    auto opened =
        co_await client::open(network_, plan_.server, log_, stop_, &account_.on_step(), &account_.on_next_host());
    report_.connections += opened ? opened->connections : opened.error().connections;
    if (!opened) co_return account_.connection_failed(opened.error());
    log_.info("connected", {{"tls", opened->tls}, {"auth", opened->mechanism}});
    const auto said =
        co_await trigger::say_etrn(std::move(opened->session), plan_.nodes, plan_.timeouts.command, stop_);
    if (said.reply) account_.connection().reply = said.reply->joined();
    if (said.reply) report_.reply = said.reply->joined();
    // Of the signal nothing has to be said any more.
    report_.text.clear();
    if (said.interrupted)
      account_.end_stopped();
    else
      end(said.outcome, said.cause, said.text);
    log_.info("ETRN said", {{"answers", said.text}});
    account_.connection_over(said.interrupted ? report_.text : said.text);
  }

  void end(Outcome outcome, Cause cause, const std::string& text) { account_.end(outcome, cause, text); }

  const FetchPlan& plan_;
  net::Network& network_;
  const Books& books_;
  SessionAccount account_;
  SessionReport& report_;  // the account's
  Log& log_;               // likewise
  Stop& stop_;
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
