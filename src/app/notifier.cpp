#include "app/notifier.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "app/bounce_records.hpp"
#include "net/delay.hpp"
#include "net/digest.hpp"
#include "queue/intake.hpp"
#include "queue/queue.hpp"
#include "send/flush.hpp"

namespace odmr::app {

namespace {

using net::Task;
using provider::Customer;

constexpr Duration k_look = std::chrono::hours(1);     // for mail that is too old
constexpr Duration k_again = std::chrono::minutes(5);  // where the disk or the smart host does not do what it should
constexpr Duration k_shortest = std::chrono::seconds(1);
constexpr std::size_t k_at_once = 100;

send::FlushOptions flush_options(const provider::WayOut& way_out) {
  send::FlushOptions options;
  options.server = way_out.smart_host.server;
  options.max_connections = way_out.max_connections;
  options.lifetime = way_out.lifetime;
  return options;
}

std::string when(WallTime time) {
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

std::string joined(const provider::Domains& domains) {
  std::string text;
  for (const auto& domain : domains) text += (text.empty() ? "" : ", ") + domain;
  return text;
}

// A bounce of ours that nobody takes is a bounce about a bounce: somebody's forged sender, mostly.
Result<void> drop_undeliverable(queue::Queue& queue) {
  for (;;) {
    const auto stuck = queue.undeliverable(k_at_once);
    if (!stuck) return fail(stuck.error());
    for (const auto& one : *stuck) {
      if (auto removed = queue.remove(one.id); !removed) return removed;
    }
    if (stuck->empty()) return {};
  }
}

}  // namespace

Notifier::Notifier(Options options, const provider::Provider& provider, net::Worker& disk, Log& log, Stop& stop)
    : options_(std::move(options)),
      provider_(provider),
      disk_(disk),
      log_(log),
      stop_(stop),
      on_stop_(stop, [this](Stop::Phase) { wake(); }) {
  provider_.held.when_refused([this] { wake(); });
}

Notifier::~Notifier() {
  provider_.held.when_refused(nullptr);
}

void Notifier::wake() {
  is_woken_ = true;
  if (pause_ != nullptr) pause_->advance(Stop::Phase::finish);
}

Task<> Notifier::run() {
  const std::function<void()> recall = [this] { recall_warnings(); };
  co_await disk_.run(recall);
  while (!stop_.requested()) {
    is_woken_ = false;
    const Duration length = co_await round();
    if (is_woken_ || stop_.requested()) continue;
    Stop pause;
    pause_ = &pause;
    co_await net::delay(provider_.network.clock(), length, pause);
    pause_ = nullptr;
  }
}

// Gives how long the next one may wait.
Task<Duration> Notifier::round() {
  const auto way_out = provider_.way_out;
  if (!way_out) co_return k_look;
  const auto customers = provider_.customers;
  const TimePoint now = provider_.network.clock().now();
  if (now >= looked_ + k_look) {
    looked_ = now;
    for (const auto& one : customers->all()) {
      if (stop_.requested()) co_return k_shortest;
      co_await see_to(one.customer);
    }
  }
  co_return co_await send(*way_out);
}

// --- what is too old

bool Notifier::is_too_old(WallTime arrival, Duration age) const {
  return provider_.network.clock().wall() - arrival > age;
}

Task<> Notifier::see_to(const Customer& customer) {
  if (!customer.lifetime && !customer.warn_after) co_return;
  // While it is being handed mail nothing is too old, and somebody has called.
  if (!provider_.held.claim(customer.domains)) co_return;
  if (customer.warn_after && !options_.postmaster.empty()) co_await warn_of(customer);
  if (customer.lifetime) co_await expire(customer);
}

Task<> Notifier::expire(const Customer& customer) {
  const double days = std::chrono::duration<double, std::ratio<86400>>(*customer.lifetime).count();
  // RFC 3463 3.5
  const smtp::Reply reply(554, fmt::format("5.4.7 the recipient's server has not fetched it for {:.3g} days", days));
  provider::HeldMail& held = provider_.held;
  std::string last;
  std::size_t refused = 0;
  while (!stop_.requested()) {
    // For one message: who calls meanwhile is let in before the next.
    const auto claim = held.claim(customer.domains);
    const auto due = claim ? held.next_for(customer.domains, last) : std::nullopt;
    if (!due) break;
    last = due->id;
    auto message = co_await held.open(due->id);
    if (!message) continue;  // it has said why
    if (!is_too_old(message->envelope().arrival, *customer.lifetime)) break;
    std::vector<provider::Refused> recipients;
    for (const auto recipient : due->recipients) recipients.push_back({recipient, reply});
    const auto bounce = co_await held.refuse(due->id, *message, recipients);
    if (!bounce) {
      log_.error("mail that nobody fetched cannot be bounced", {{"id", due->id}, {"why", bounce.error().text}});
      break;
    }
    ++refused;
    log_.info("not fetched in its lifetime", {{"customer", customer.name}, {"id", due->id}, {"bounce", *bounce}});
  }
  if (refused > 0) {
    log_.warn("mail was not fetched in its lifetime, and is bounced",
              {{"customer", customer.name}, {"messages", std::to_string(refused)}});
  }
}

Task<std::optional<WallTime>> Notifier::oldest_of(const Customer& customer) {
  const auto due = provider_.held.next_for(customer.domains, {});
  if (!due) co_return std::nullopt;
  const auto message = co_await provider_.held.open(due->id);
  if (!message) co_return std::nullopt;
  co_return message->envelope().arrival;
}

Task<> Notifier::warn_of(const Customer& customer) {
  const std::string key = net::hex(net::sha256(customer.name));
  const auto oldest = co_await oldest_of(customer);
  if (!oldest || !is_too_old(*oldest, *customer.warn_after)) {
    co_return co_await spell_over(key);
  }
  if (warned_of_.contains(key)) co_return;
  Result<void> put;
  Result<void> marked;
  const std::function<void()> work = [&] {
    put = put_warning(customer, *oldest);
    if (put) marked = mark(key);
  };
  co_await disk_.run(work);
  if (!put) {
    log_.error("the postmaster cannot be warned", {{"customer", customer.name}, {"why", put.error().text}});
    co_return;
  }
  warned_of_.insert(key);
  if (!marked) {
    log_.warn("the postmaster may be warned once more after a restart",
              {{"customer", customer.name}, {"why", marked.error().text}});
  }
  log_.warn("mail waits for long", {{"customer", customer.name}, {"since", when(*oldest)}});
}

Task<> Notifier::spell_over(const std::string& key) {
  if (warned_of_.erase(key) == 0) co_return;
  Result<void> unmarked;
  const std::function<void()> work = [&] { unmarked = unmark(key); };
  co_await disk_.run(work);
  if (!unmarked)
    log_.error("a mark that the postmaster was warned cannot be taken away", {{"why", unmarked.error().text}});
}

// Without them he is warned once more, which does no harm.
void Notifier::recall_warnings() {
  FileOps& files = system_files();
  Result<std::vector<std::string>> names;
  const auto made = files.make_dir(marks(), 0700);
  const auto dir = files.open_dir(marks());
  if (dir)
    names = files.list(dir->get());
  else
    names = fail(made ? dir.error() : made.error());
  if (names)
    warned_of_ = std::set<std::string>(names->begin(), names->end());
  else
    log_.error("who was warned of mail that waits is not known", {{"why", names.error().text}});
}

Result<void> Notifier::mark(const std::string& key) const {
  FileOps& files = system_files();
  const auto dir = files.open_dir(marks());
  if (!dir) return fail(dir.error());
  const auto file = files.create(dir->get(), key, 0600);
  if (!file) return fail(file.error());
  return files.sync(dir->get());
}

Result<void> Notifier::unmark(const std::string& key) const {
  FileOps& files = system_files();
  const auto dir = files.open_dir(marks());
  if (!dir) return fail(dir.error());
  auto gone = files.unlink(dir->get(), key);
  if (!gone && gone.error().code != Errc::not_found) return gone;
  return files.sync(dir->get());
}

Result<void> Notifier::put_warning(const Customer& customer, WallTime oldest) {
  auto store = spool::Store::in(queue());
  if (!store) return fail(store.error());
  spool::Envelope envelope;
  envelope.arrival = provider_.network.clock().wall();
  envelope.recipients.push_back({options_.postmaster, {}});
  queue::IntakeOptions options;
  options.hostname = options_.hostname;
  options.from = "odmrd <MAILER-DAEMON@" + options_.hostname + ">";
  queue::Intake intake(*store, envelope, options);
  const auto sums = provider_.held.waiting().sums(customer.domains);
  std::string text = fmt::format(
      "To: {}\r\nSubject: mail waits for {} since {}\r\nAuto-Submitted: auto-generated\r\n\r\n"
      "Mail for the customer \"{}\" ({}) is held at {},\r\n"
      "and its server does not take it. {} messages of {} octets wait, the oldest\r\nsince {}.\r\n",
      options_.postmaster, customer.name, when(oldest), customer.name, joined(customer.domains), options_.hostname,
      sums.messages, sums.octets, when(oldest));
  if (customer.lifetime) {
    text += "\r\nWhat it has not fetched by " +
            when(oldest + std::chrono::duration_cast<WallTime::duration>(*customer.lifetime)) +
            " and later is bounced to its senders, one\r\nmessage after the other.\r\n";
  }
  if (auto written = intake.write(text); !written) return written;
  const auto id = intake.commit();
  if (!id) return fail(id.error());
  return {};
}

// --- what is to be said

Task<Duration> Notifier::send(const provider::WayOut& way_out) {
  std::optional<queue::Queue> queue;
  Result<bool> has_due = false;
  // A queue is for one run, and knows the state of things at its beginning.
  const std::function<void()> prepare = [&]() -> void {
    const BouncePlace place{options_.spool + "/bounces", this->queue(), options_.hostname};
    if (auto queued = queue_bounce_records(place, provider_.network.clock(), log_); !queued) {
      has_due = fail(queued.error());
      return;
    }
    auto opened = queue::Queue::in(this->queue(), {way_out.lifetime, {}, false}, provider_.network.clock(), log_);
    if (!opened) {
      has_due = fail(opened.error());
      return;
    }
    queue.emplace(std::move(*opened));
    // Nobody else works on it: the lock of the spool is ours.
    auto ready = queue->recover();
    if (ready) ready = queue->refresh();
    if (!ready)
      has_due = fail(ready.error());
    else
      has_due = queue->has_due(false);
  };
  co_await disk_.run(prepare);
  if (!has_due) {
    log_.error("senders cannot be told of what came to nothing", {{"why", has_due.error().text}});
    co_return k_again;
  }
  bool is_reached = true;
  if (*has_due) {
    const auto options = flush_options(way_out);
    const auto flushed = co_await send::flush(options, *queue, provider_.network, disk_, nullptr, log_, stop_);
    is_reached = flushed.outcome <= Outcome::deferred;
    if (!is_reached) log_.warn("notices to senders wait", {{"why", flushed.text}});
  }
  Result<queue::Queue::Sums> sums = fail(Errc::io, "not tried");
  const std::function<void()> conclude = [&]() -> void {
    const auto dropped = drop_undeliverable(*queue);
    sums = dropped ? queue->sums() : fail(dropped.error());
  };
  co_await disk_.run(conclude);
  if (!sums) log_.error("the queue of notices cannot be used", {{"why", sums.error().text}});
  if (!sums || !is_reached) co_return k_again;
  if (!sums->next_try) co_return k_look;
  const auto wait = *sums->next_try - provider_.network.clock().wall();
  co_return std::clamp<Duration>(wait, k_shortest, k_look);
}

}  // namespace odmr::app
