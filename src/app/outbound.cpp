#include "app/outbound.hpp"

#include <utility>

#include "app/bounce_records.hpp"
#include "app/notices.hpp"
#include "app/plan.hpp"
#include "net/digest.hpp"
#include "queue/intake.hpp"

namespace odmr::app {

namespace {

using net::Task;

constexpr auto k_farewell = std::chrono::seconds(10);

send::FlushTally sum(send::FlushTally a, const send::FlushTally& b) {
  a.messages += b.messages;
  a.recipients += b.recipients;
  a.bytes += b.bytes;
  a.deferred += b.deferred;
  a.bounced += b.bounced;
  return a;
}

}  // namespace

Result<queue::Queue> open_queue(const Settings& settings, Clock& clock, Log& log) {
  if (!settings.outbound) {
    return fail(Errc::not_found, "there is no outbound queue: the configuration has no [outbound] with a smart host");
  }
  queue::QueueOptions options;
  options.lifetime = settings.outbound->lifetime;
  options.delay_notice = settings.outbound->delay_notice;
  return queue::Queue::in(queue::directory_in(settings.state_dir), options, clock, log);
}

Outbound::Outbound(const Settings& settings, bool all, net::Network& network, net::Worker& disk, OnProgress on_progress,
                   Log& log, Stop& stop)
    : settings_(settings),
      outbound_(*settings.outbound),
      network_(network),
      disk_(disk),
      on_progress_(std::move(on_progress)),
      session_id_(net::hex(net::random_octets(6))),
      log_(log, {{"session", session_id_}}),
      stop_(stop) {
  options_.all = all;
  report_.session = session_id_;
  report_.started = network.clock().wall();
  begun_ = network.clock().now();
}

Outbound::~Outbound() = default;

Task<bool> Outbound::prepare() {
  Result<void> ready;
  std::function<void()> work = [&] { ready = open_and_look(); };
  co_await disk_.run(std::move(work));
  if (!ready) {
    end(Outcome::state, ready.error().text);
    co_return false;
  }
  const auto loaded = load();
  if (!loaded) end(Outcome::config, "[outbound]: " + loaded.error().text);
  co_return loaded.has_value();
}

Result<void> Outbound::open_and_look() {
  auto opened = open_queue(settings_, network_.clock(), log_);
  if (!opened) return fail(opened.error());
  queue_.emplace(std::move(*opened));
  if (auto recovered = queue_->recover(); !recovered) return recovered;
  return look();
}

// What the last run's mail left behind goes first: bounces to those who sent it.
Result<void> Outbound::look() {
  if (auto queued = queue_bounce_records(settings_, network_.clock(), log_); !queued) return queued;
  if (auto refreshed = queue_->refresh(); !refreshed) return refreshed;
  const auto due = queue_->has_due(options_.all);
  if (!due) return fail(due.error());
  has_due_ = *due;
  return {};
}

Result<void> Outbound::load() {
  auto options = plan_flush(settings_);
  if (!options) return fail(options.error());
  options->all = options_.all;
  options_ = std::move(*options);
  auto target = plan_target(settings_, settings_.deliver);
  if (!target) return fail(target.error());
  target_ = std::move(*target);
  return {};
}

Task<> Outbound::send() {
  if (outbound_.to != OutboundSettings::To::smart_host) co_return;
  OnProgress on_progress = [this](const send::FlushTally& tally) { show(tally); };
  const auto flushed = co_await send::flush(options_, *queue_, network_, disk_, std::move(on_progress), log_, stop_);
  add(flushed);
}

bool Outbound::goes_over(const std::string& provider) const {
  return outbound_.to == OutboundSettings::To::provider && outbound_.provider == provider;
}

bool Outbound::has_something() const {
  return has_due_ && !has_spoken_;
}

Task<Result<void>> Outbound::speak(client::Session& session) {
  has_spoken_ = true;
  OnProgress on_progress = [this](const send::FlushTally& tally) { show(tally); };
  auto flushed = co_await send::flush_over(session, options_, *queue_, disk_, std::move(on_progress), log_, stop_);
  add(flushed.report);
  if (flushed.broken) co_return fail(*flushed.broken);
  co_return Result<void>();
}

Task<> Outbound::speak_alone(const FetchPlan& plan) {
  if (!has_something()) co_return;
  auto opened = co_await client::open(network_, plan.server, log_, stop_);
  if (!opened) {
    not_reached(opened.error().outcome, opened.error().text);
    co_return;
  }
  const auto said = co_await speak(opened->session);
  if (said) co_await opened->session.quit(k_farewell);
}

void Outbound::not_reached(Outcome outcome, const std::string& why) {
  if (!has_something()) return;
  has_spoken_ = true;
  // What the flush does not know of (contract) means that there was no connection for it.
  const bool is_known = outcome == Outcome::auth || outcome == Outcome::tls || outcome == Outcome::config;
  end(is_known ? outcome : Outcome::unavailable, why);
  const auto expired = queue_->expire(smtp::Reply(451, "4.4.1 the provider cannot be reached: " + why));
  if (!expired) return end(Outcome::state, expired.error().text);
  if (*expired > 0) sent().bounced += *expired;
}

Task<> Outbound::send_what_came_meanwhile() {
  // A smart host that could not be reached is not tried again.
  if (stop_.requested() || report_.outcome > Outcome::deferred) co_return;
  Result<void> looked;
  std::function<void()> work = [&] { looked = look(); };
  co_await disk_.run(std::move(work));
  if (!looked) co_return end(Outcome::state, looked.error().text);
  if (has_due_) co_await send();
}

Task<> Outbound::tell_senders() {
  NoticeOptions options;
  options.all = options_.all;
  options.whole_message = outbound_.bounce_whole_message;
  options.lifetime = outbound_.lifetime;
  const auto told = co_await send_notices(*queue_, target_, options, network_, disk_, log_, stop_);
  if (told.put_off > 0) end(Outcome::deferred, "a notice to a sender waits for the local target");
  if (told.state_error) end(Outcome::state, told.state_error->text);
}

send::FlushTally& Outbound::sent() {
  if (!report_.sent) report_.sent.emplace();
  return *report_.sent;
}

void Outbound::show(const send::FlushTally& tally) {
  if (on_progress_) on_progress_(sum(report_.sent.value_or(send::FlushTally()), tally));
}

void Outbound::add(const send::FlushReport& flushed) {
  report_.connections += flushed.connections;
  if (!report_.tls) report_.tls = flushed.tls;
  if (!report_.auth) report_.auth = flushed.auth;
  if (flushed.outcome == Outcome::no_mail) return;
  sent() = sum(sent(), flushed.tally);
  const bool is_unsaid = flushed.outcome == Outcome::deferred && flushed.text.empty();
  end(flushed.outcome, is_unsaid ? "some mail was put off; it stays in the queue" : flushed.text);
}

void Outbound::end(Outcome outcome, const std::string& text) {
  sent();
  if (outcome < report_.outcome) return;
  if (outcome > report_.outcome || report_.text.empty()) report_.text = text;
  report_.outcome = outcome;
}

std::optional<SessionReport> Outbound::report() const {
  if (!report_.sent) return std::nullopt;
  SessionReport report = report_;
  report.seconds = std::chrono::duration<double>(network_.clock().now() - begun_).count();
  return report;
}

}  // namespace odmr::app
