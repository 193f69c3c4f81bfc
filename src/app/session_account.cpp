#include "app/session_account.hpp"

#include <chrono>
#include <utility>

#include "app/refusal.hpp"

namespace odmr::app {

namespace {

using net::Task;

journal::SessionReceipt receipt_of(const SessionReport& report) {
  return {report.session, report.provider.value_or(std::string()), report.started, std::nullopt};
}

SessionReport report_of_begin(const FetchPlan& plan, WallTime now) {
  SessionReport report;
  report.session = plan.session_id;
  report.provider = plan.provider;
  report.started = now;
  return report;
}

}  // namespace

SessionAccount::SessionAccount(const FetchPlan& plan, Clock& clock, journal::Journal& journal, Log& log)
    : plan_(plan),
      clock_(clock),
      journal_(journal),
      log_(log, {{"session", plan.session_id}, {"provider", plan.provider}}),
      begun_(clock.now()),
      report_(report_of_begin(plan, clock.wall())),
      on_step_([this](const client::Reached& what) { reached(what); }),
      on_next_host_([this](const client::OpenFailure& failure) {
        connection_over(failure.text);
        begin_connection();
      }) {}

// Without a sync; the log tells where it fails.
Task<> SessionAccount::begin() {
  log_.debug("session begins", {{"server", plan_.server.endpoint.text()}});
  if (plan_.lane) co_return;
  journal_.note(receipt_of(report_));
  const auto kept = co_await journal_.flush();
  static_cast<void>(kept);
}

void SessionAccount::end(Outcome outcome, Cause cause, const std::string& text) {
  if (outcome < report_.outcome) return;
  if (outcome > report_.outcome || report_.text.empty()) {
    report_.text = text;
    report_.cause = cause;
  }
  report_.outcome = outcome;
}

Task<SessionReport> SessionAccount::conclude(std::uint16_t port) {
  report_.seconds = std::chrono::duration<double>(clock_.now() - begun_).count();
  if (report_.remedy.empty()) add_remedy(port);
  log_.debug("session over", {{"outcome", std::string(name(report_.outcome))},
                              {"cause", std::string(name(report_.cause))},
                              {"text", report_.text}});
  if (!plan_.lane) co_await note_end();
  co_return std::move(report_);
}

// What is done about it depends on where it happened.
void SessionAccount::add_remedy(std::uint16_t port) {
  Scene scene{With::provider, "[provider." + plan_.provider + "]", port};
  if (report_.outcome == Outcome::local_down) scene = Scene{With::target, plan_.deliver_table, 0};
  report_.remedy = remedy(report_.outcome, report_.cause, scene, report_.text);
}

Task<> SessionAccount::note_end() {
  auto receipt = receipt_of_end(report_, clock_.wall());
  if (plan_.fingerprint && is_refusal(report_.outcome)) receipt.end->fingerprint = plan_.fingerprint();
  journal_.note(std::move(receipt));
  const auto kept = co_await journal_.flush();
  static_cast<void>(kept);
}

void SessionAccount::begin_connection() {
  const std::uint64_t number = plan_.lane ? plan_.lane->next_connection() : connection_.number + 1;
  connection_ = journal::ConnectionReceipt();
  connection_.session = plan_.session_id;
  connection_.number = number;
  connection_.started = clock_.wall();
}

void SessionAccount::connection_over(const std::string& how) {
  connection_.how = how;
  connection_.ended = clock_.wall();
  note_connection();
}

void SessionAccount::connection_failed(const client::OpenFailure& failure) {
  connection_over(failure.interrupted ? "stopped by a signal" : failure.text);
  if (failure.interrupted)
    end_stopped();
  else
    end(failure.outcome, failure.cause, failure.text);
}

void SessionAccount::reached(const client::Reached& what) {
  const auto& [step, text, certificate] = what;
  log_.debug("reached", {{"step", std::string(client::name(step))}, {"what", text}});
  if (step == client::Step::connect) connection_.address = text;
  if (step == client::Step::greeting) connection_.greeting = text;
  if (step == client::Step::certificate && certificate) connection_.certificate_until = certificate->not_after;
  if (step == client::Step::auth) {
    connection_.mechanism = text;
    if (!report_.auth) report_.auth = text;
  }
  if (step != client::Step::tls) return;
  // Of the first that was for us.
  if (!report_.tls && !report_.auth) report_.tls = text.substr(0, text.find(' '));
  connection_.tls = text;
  connection_.verified = plan_.server.tls_context->verification();
}

journal::SessionReceipt receipt_of_end(const SessionReport& report, WallTime now) {
  auto receipt = receipt_of(report);
  auto& end = receipt.end.emplace();
  end.time = now;
  end.outcome = report.outcome;
  end.cause = report.cause;
  end.text = report.text;
  end.connections = report.connections;
  end.messages = report.received.messages;
  end.recipients = report.received.recipients;
  end.bytes = report.received.bytes;
  end.rejected = report.received.rejected;
  end.deferred = report.received.deferred;
  end.duplicates = report.received.duplicates;
  return receipt;
}

}  // namespace odmr::app
