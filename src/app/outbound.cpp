#include "app/outbound.hpp"

#include <utility>

#include "app/bounce_records.hpp"
#include "app/notices.hpp"
#include "app/plan.hpp"
#include "app/queue_place.hpp"
#include "net/digest.hpp"
#include "queue/intake.hpp"

namespace odmr::app {

namespace {

using net::Task;

constexpr auto k_farewell = std::chrono::seconds(10);
constexpr std::size_t k_most_named = 10;  // messages, in the log

send::FlushTally sum(send::FlushTally a, const send::FlushTally& b) {
  a.messages += b.messages;
  a.recipients += b.recipients;
  a.bytes += b.bytes;
  a.deferred += b.deferred;
  a.bounced += b.bounced;
  return a;
}

SessionReport begun(WallTime now) {
  SessionReport report;
  report.session = net::hex(net::random_octets(6));
  report.started = now;
  return report;
}

}  // namespace

std::uint64_t count_waiting(const Settings& settings) {
  return count_held_in(queue::directory_in(settings.state_dir));
}

std::uint64_t count_untold(const Settings& settings) {
  return count_held_in(settings.state_dir + "/bounces");
}

Outbound::Outbound(const Settings& settings, bool all, Keyring& keyring, net::Network& network, net::Worker& disk,
                   OnProgress on_progress, Log& log, Stop& stop)
    : settings_(settings),
      outbound_(*settings.outbound),
      keyring_(keyring),
      network_(network),
      disk_(disk),
      on_progress_(std::move(on_progress)),
      all_(all),
      begun_(network.clock().now()),
      report_(begun(network.clock().wall())),
      log_(log, {{"session", report_.session}}),
      stop_(stop) {}

Outbound::~Outbound() = default;

Task<bool> Outbound::prepare() {
  Result<void> ready;
  std::function<void()> work = [&] { ready = open_and_look(); };
  co_await disk_.run(std::move(work));
  if (!ready) end_for(ready.error());
  co_return ready.has_value();
}

Result<void> Outbound::open_and_look() {
  queue::QueueOptions options;
  options.lifetime = outbound_.lifetime;
  options.delay_notice = outbound_.delay_notice;
  auto opened = queue::Queue::in(queue::directory_in(settings_.state_dir), options, network_.clock(), log_);
  if (!opened) return fail(opened.error());
  queue_.emplace(std::move(*opened));
  if (auto recovered = queue_->recover(); !recovered) return recovered;
  auto bounces = spool::Store::in(settings_.state_dir + "/bounces");
  if (!bounces) return fail(bounces.error());
  if (const auto recovered = bounces->recover(); !recovered) return fail(recovered.error());
  return look();
}

// What the last run's mail left behind goes first: bounces to those who sent it.
Result<void> Outbound::look() {
  const BouncePlace place{settings_.state_dir + "/bounces", queue::directory_in(settings_.state_dir),
                          settings_.hostname};
  if (auto queued = queue_bounce_records(place, network_.clock(), log_); !queued) return queued;
  if (auto refreshed = queue_->refresh(); !refreshed) return refreshed;
  const auto due = queue_->has_due(all_);
  if (!due) return fail(due.error());
  has_due_ = *due;
  return {};
}

// Only when there is something to send: secrets may have to be asked for.
Task<bool> Outbound::load() {
  if (!options_ && stop_.requested()) {
    end(Outcome::unavailable, "stopped by a signal", Cause::stopped);
    co_return false;
  }
  if (!options_) {
    auto options = plan_flush(settings_, keyring_);
    if (!options && options.error().code == Errc::interrupted) {
      end(Outcome::unavailable, "stopped by a signal", Cause::stopped);
      co_return false;
    }
    if (!options) {
      co_await cannot_send(Outcome::config, Cause::configuration, "[outbound]: " + options.error().text);
      co_return false;
    }
    options_ = std::move(*options);
    options_->all = all_;
    options_->server.line_due = line_due_;
    begin_budget();
  }
  co_return true;
}

// Once for all flushes of the run.
void Outbound::begin_budget() {
  auto budget = settings_.line.budget;
  for (const auto& provider : settings_.providers) {
    if (goes_over(provider.name)) budget = provider.budget;
  }
  if (budget.time) options_->until = network_.clock().now() + *budget.time;
  options_->max_bytes = budget.bytes;
}

Task<> Outbound::send() {
  if (outbound_.to != OutboundSettings::To::smart_host || !has_due_) co_return;
  const bool is_loaded = co_await load();
  if (!is_loaded) co_return;
  OnProgress on_progress = shown();
  const auto flushed = co_await send::flush(*options_, *queue_, network_, disk_, std::move(on_progress), log_, stop_);
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
  const bool is_loaded = co_await load();
  if (!is_loaded) co_return Result<void>();
  OnProgress on_progress = shown();
  auto flushed = co_await send::flush_over(session, *options_, *queue_, disk_, std::move(on_progress), log_, stop_);
  add(flushed.report);
  if (flushed.broken) co_return fail(*flushed.broken);
  co_return Result<void>();
}

Task<> Outbound::speak_alone(const FetchPlan& plan) {
  if (!has_something()) co_return;
  auto opened = co_await client::open(network_, plan.server, log_, stop_);
  if (!opened) {
    co_await not_reached(opened.error().outcome, opened.error().cause, opened.error().text);
    co_return;
  }
  const auto said = co_await speak(opened->session);
  if (said) co_await opened->session.quit(k_farewell);
}

Task<> Outbound::not_reached(Outcome outcome, Cause cause, const std::string& why) {
  if (!has_something()) co_return;
  has_spoken_ = true;
  // What the flush does not know of (contract) means that there was no connection for it.
  const bool is_known = outcome == Outcome::auth || outcome == Outcome::tls || outcome == Outcome::config;
  co_await cannot_send(is_known ? outcome : Outcome::unavailable, cause, why);
}

// Nothing goes out now, and what is too old for another try has failed.
Task<> Outbound::cannot_send(Outcome outcome, Cause cause, const std::string& why) {
  end(outcome, why, cause);
  Result<std::uint64_t> expired = 0;
  std::function<void()> work = [&] {
    expired = queue_->expire(smtp::Reply(451, "4.4.1 not sent: " + why));
    // Its memory alone: what is due stays due.
    static_cast<void>(queue_->not_tried(why));
  };
  co_await disk_.run(std::move(work));
  if (!expired) co_return end_for(expired.error());
  sent().bounced += *expired;
}

Task<> Outbound::send_what_came_meanwhile() {
  // A smart host that could not be reached is not tried again.
  if (stop_.requested() || report_.outcome > Outcome::deferred) co_return;
  Result<void> looked;
  std::function<void()> work = [&] { looked = look(); };
  co_await disk_.run(std::move(work));
  if (!looked) co_return end_for(looked.error());
  if (has_due_) co_await send();
}

Task<> Outbound::tell_senders() {
  // What cannot be written down would be said again.
  if (report_.outcome == Outcome::state) co_return;
  const auto due = queue_->has_notices_due(all_);
  if (!due) co_return end_for(due.error());
  if (!*due) co_return;
  const auto target = plan_target(settings_, settings_.deliver, keyring_);
  if (!target) co_return end(Outcome::config, "[deliver]: " + target.error().text, Cause::configuration);
  NoticeOptions options;
  options.all = all_;
  options.whole_message = outbound_.bounce_whole_message;
  options.lifetime = outbound_.lifetime;
  const auto told = co_await send_notices(*queue_, *target, options, network_, disk_, log_, stop_);
  if (told.undeliverable > 0) {
    end(Outcome::deferred, "a sender cannot be told of a failure, and the message stays in the queue: " + told.why);
  }
  if (told.put_off > 0) end(Outcome::deferred, "a notice to a sender waits for the local target: " + told.why);
  if (told.state_error) end_for(*told.state_error);
}

// What somebody has to look at is never passed over in silence; what this run has found is its outcome, too.
Task<> Outbound::say_what_is_stuck() {
  const auto aside = queue_->set_aside();
  const auto unread = queue_->left_alone();
  const auto name = [this](const queue::Unusable& one) {
    return queue::directory_in(settings_.state_dir) + "/" + one.file + ": " + one.why;
  };
  if (!unread.empty()) end(Outcome::deferred, "a message in the queue cannot be read: " + name(unread.front()));
  if (!aside.empty()) end(Outcome::state, "a message was damaged, and was set aside: " + name(aside.front()));
  Result<void> warned;
  std::function<void()> work = [&] { warned = warn_of_what_stays(); };
  co_await disk_.run(std::move(work));
  if (!warned) end_for(warned.error());
}

Result<void> Outbound::warn_of_what_stays() {
  const auto sums = queue_->sums();
  if (!sums) return fail(sums.error());
  if (sums->set_aside > 0) {
    log_.warn("damaged messages were set aside, and wait for somebody to look at them",
              {{"messages", std::to_string(sums->set_aside)},
               {"folder", queue::directory_in(settings_.state_dir) + "/corrupt"}});
  }
  if (sums->undeliverable == 0) return {};
  const auto stuck = queue_->undeliverable(k_most_named);
  if (!stuck) return fail(stuck.error());
  for (const auto& one : *stuck) {
    log_.warn("a message is undeliverable, and nobody can be told; it stays until it is removed or retried by hand",
              {{"id", one.id}, {"from", "<" + one.reverse_path + ">"}, {"reply", one.reply}});
  }
  if (sums->undeliverable > stuck->size()) {
    log_.warn("more messages are undeliverable", {{"messages", std::to_string(sums->undeliverable - stuck->size())}});
  }
  return {};
}

send::FlushTally& Outbound::sent() {
  if (!report_.sent) report_.sent.emplace();
  return *report_.sent;
}

Outbound::OnProgress Outbound::shown() {
  return [this](const send::FlushTally& tally) {
    if (on_progress_) on_progress_(sum(report_.sent.value_or(send::FlushTally()), tally));
  };
}

void Outbound::add(const send::FlushReport& flushed) {
  options_->used_bytes += flushed.bytes_on_line;
  report_.connections += flushed.connections;
  if (flushed.certificate_until) certificate_until_ = flushed.certificate_until;
  if (!report_.tls) report_.tls = flushed.tls;
  if (!report_.auth) report_.auth = flushed.auth;
  if (flushed.outcome == Outcome::no_mail) return;
  sent() = sum(sent(), flushed.tally);
  end(flushed.outcome, flushed.text, flushed.cause);
}

void Outbound::end(Outcome outcome, const std::string& text, Cause cause) {
  sent();
  if (outcome < report_.outcome) return;
  if (outcome > report_.outcome || report_.text.empty()) {
    report_.text = text;
    report_.cause = cause;
  }
  report_.outcome = outcome;
}

void Outbound::end_for(const Error& error) {
  end(Outcome::state, error.text, cause_of_state(error));
}

// Whose keys may have to be changed.
Scene Outbound::scene() const {
  if (outbound_.to == OutboundSettings::To::smart_host)
    return {With::smart_host, "[outbound]", outbound_.endpoint.port};
  return {With::provider, "[provider." + outbound_.provider + "]", k_odmr_port};
}

std::optional<SessionReport> Outbound::report() const {
  if (!report_.sent) return std::nullopt;
  SessionReport report = report_;
  const bool is_unsaid = report.outcome == Outcome::deferred && report.text.empty();
  if (is_unsaid) report.text = "some mail was put off; it stays in the queue";
  report.remedy = remedy(report.outcome, report.cause, scene(), report.text);
  report.seconds = std::chrono::duration<double>(network_.clock().now() - begun_).count();
  return report;
}

std::optional<journal::FlushReceipt> Outbound::receipt() const {
  if (!report_.sent) return std::nullopt;
  journal::FlushReceipt receipt;
  receipt.id = report_.session;
  receipt.started = report_.started;
  receipt.ended = network_.clock().wall();
  receipt.outcome = report_.outcome;
  receipt.cause = report_.cause;
  receipt.text = report_.text;
  receipt.messages = report_.sent->messages;
  receipt.recipients = report_.sent->recipients;
  receipt.bytes = report_.sent->bytes;
  receipt.deferred = report_.sent->deferred;
  receipt.bounced = report_.sent->bounced;
  if (outbound_.to == OutboundSettings::To::smart_host) receipt.server = outbound_.endpoint.text();
  receipt.certificate_until = certificate_until_;
  return receipt;
}

}  // namespace odmr::app
