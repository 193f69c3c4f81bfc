#include "send/flush.hpp"

#include <algorithm>
#include <utility>

#include "net/together.hpp"
#include "send/courier.hpp"
#include "send/pop_before_smtp.hpp"

namespace odmr::send {

namespace {

using net::Task;

constexpr auto k_farewell = std::chrono::seconds(10);
// Connections in a row over which no message got through: then the host is not in order, and the mail is.
constexpr std::size_t k_most_misses = 2;

// A flush as far as it is the same over connections of its own and over one that is there.
class Work {
 public:
  Work(const FlushOptions& options, queue::Queue& queue, net::Worker& disk, Clock& clock, OnFlushProgress on_progress,
       Log& log, Stop& stop, const asio::any_io_executor& executor)
      : feed(queue, disk, options.all, clock, log, executor),
        settler(queue, disk, clock, log, executor),
        sum{{}, false, 0, std::move(on_progress)},
        office{options, feed, settler, sum, disk, log, stop},
        clock_(clock),
        queue_(queue) {}

  /// The flush is over, for a reason that is no message's; the first one counts.
  void end(Outcome outcome, const std::string& why, Cause cause = Cause::unknown) {
    if (!end_) end_ = Ending{outcome, why, cause};
  }
  /// Whether there is mail to send. Where no answer could be written down, or we are to stop, it is over then.
  Task<bool> begin() {
    auto first = co_await feed.next();
    if (!first) co_return false;
    feed.give_back(std::move(first));
    // What is not written down would go again with every run.
    co_await settler.try_out();
    co_return true;
  }
  bool is_over() const {
    return end_ || settler.failure() || feed.failure() || office.stop.requested() || is_budget_used_up();
  }

  /// The report's outcome and words, when all is done.
  Task<> conclude(FlushReport& report, bool has_begun) {
    const bool has_more = feed.has_more();
    feed.let_go();
    if (end_) {
      co_await expire();
      co_await say_why_not();
    }
    report.tally = sum.tally;
    report.bytes_on_line = sum.bytes_on_line;
    if (settler.failure() || feed.failure()) {
      report.outcome = Outcome::state;
      report.text = "the queue: " + (settler.failure() ? *settler.failure() : *feed.failure()).text;
    } else if (end_) {
      report.outcome = end_->outcome;
      report.text = end_->why;
      report.cause = end_->cause;
    } else if (office.stop.requested() && has_more) {
      report.outcome = Outcome::unavailable;
      report.text = "stopped by a signal";
      report.cause = Cause::stopped;
    } else if (is_budget_used_up() && has_more) {
      report.outcome = Outcome::deferred;
      report.text = "this flush has had its share of the line; the rest stays in the queue";
    } else if (sum.has_put_off || feed.has_left_out()) {
      report.outcome = Outcome::deferred;
      if (!sum.why_is_put_off.empty())
        report.text = "some mail was put off; it stays in the queue; " + sum.why_is_put_off;
    } else {
      report.outcome = has_begun ? Outcome::sent : Outcome::no_mail;
    }
    if (has_begun || report.outcome != Outcome::no_mail) say_sum(report);
  }

  Feed feed;
  Settler settler;
  Sum sum;
  Office office;

 private:
  bool is_budget_used_up() const {
    const auto& options = office.options;
    const bool has_had_its_bytes =
        options.max_bytes != 0 && options.used_bytes + sum.bytes_on_line >= options.max_bytes;
    return has_had_its_bytes || clock_.now() >= options.until;
  }

  struct Ending {
    Outcome outcome;
    std::string why;
    Cause cause;
  };

  // No attempt can be made, so nobody would notice that a message has waited long enough.
  Task<> expire() {
    Result<std::uint64_t> expired;
    const smtp::Reply reply(451, "4.4.1 " + end_->why);
    const std::function<void()> work = [&] { expired = queue_.expire(reply); };
    co_await office.disk.run(work);
    if (!expired) {
      office.log.error("messages that are too old cannot be given up", {{"why", expired.error().text}});
    } else if (*expired > 0) {
      sum.tally.bounced += *expired;
      office.log.warn("messages have waited too long, and are given up", {{"messages", std::to_string(*expired)}});
    }
  }

  // So that a list of the queue can tell.
  Task<> say_why_not() {
    Result<void> said;
    const std::function<void()> work = [&] { said = queue_.not_tried(end_->why); };
    co_await office.disk.run(work);
    if (!said) office.log.debug("the queue does not note why nothing was sent", {{"why", said.error().text}});
  }

  void say_sum(const FlushReport& report) {
    const auto& tally = sum.tally;
    office.log.info("flush over", {{"outcome", std::string(name(report.outcome))},
                                   {"messages", std::to_string(tally.messages)},
                                   {"recipients", std::to_string(tally.recipients)},
                                   {"bytes", std::to_string(tally.bytes)},
                                   {"deferred", std::to_string(tally.deferred)},
                                   {"bounced", std::to_string(tally.bounced)},
                                   {"connections", std::to_string(report.connections)},
                                   {"cause", std::string(name(report.cause))},
                                   {"text", report.text}});
  }

  Clock& clock_;
  queue::Queue& queue_;
  std::optional<Ending> end_;
};

// Over connections of its own. There are `max_connections` places for lines. The first line begins alone; one that was
// opened lets a next one begin where there is mail for it, so a host that takes nobody is asked twice and no more.
class Flush {
 public:
  Flush(const FlushOptions& options, queue::Queue& queue, net::Network& network, net::Worker& disk,
        OnFlushProgress on_progress, Log& log, Stop& stop, const asio::any_io_executor& executor)
      : options_(options),
        network_(network),
        log_(log),
        stop_(stop),
        work_(options, queue, disk, network.clock(), std::move(on_progress), log, stop, executor),
        changed_(executor) {}

  Task<FlushReport> run() {
    const bool has_begun = co_await work_.begin();
    if (has_begun && !work_.is_over()) {
      std::vector<Task<>> tasks;
      tasks.push_back(all_lines());
      tasks.push_back(work_.settler.run());
      co_await net::together(std::move(tasks));
    }
    co_await work_.conclude(report_, has_begun);
    co_return std::move(report_);
  }

 private:
  Task<> all_lines() {
    std::vector<Task<>> places;
    for (std::size_t i = 0; i < std::max<std::size_t>(options_.max_connections, 1); ++i) places.push_back(place());
    co_await net::together(std::move(places));
    work_.settler.close();
  }

  // Where a line may be: it waits until one is wanted, and again when that one is over.
  Task<> place() {
    while (!has_ended_) {
      if (working_ >= wanted_) {
        co_await changed_.wait();
        continue;
      }
      ++working_;
      co_await use_lines();
      wanted_ = std::min(wanted_, --working_);
      has_ended_ = working_ == 0;
      changed_.wake();
    }
  }

  // Makes room for another line, one at a time, while those that are open have more mail than they can take at once.
  void hire() {
    const bool is_wanted = may_hire_ && working_ < options_.max_connections && work_.feed.has_more();
    if (!is_wanted || work_.is_over()) return;
    may_hire_ = false;
    wanted_ = working_ + 1;
    changed_.wake();
  }

  // One line after the other, as long as there is mail and the host lets us.
  Task<> use_lines() {
    auto errand = co_await work_.feed.next();
    while (errand && !work_.is_over()) {
      auto opened = co_await open();
      if (!opened) {
        work_.feed.give_back(std::move(errand));
        if (working_ > 1 || work_.is_over()) co_return;
        errand = co_await work_.feed.next();
        continue;
      }
      may_hire_ = true;
      hire();
      errand = co_await talk(*opened, std::move(errand));
      if (!errand && !work_.is_over()) errand = co_await work_.feed.next();
    }
    if (errand) work_.feed.give_back(std::move(errand));
  }

  // --- a connection

  Task<tl::expected<client::Opened, client::OpenFailure>> open() {
    if (options_.pop_before_smtp && !std::exchange(has_asked_pop_, true)) {
      const auto failed = co_await log_in_by_pop(network_, options_.pop_before_smtp->server, log_, stop_);
      if (failed) {
        if (!failed->interrupted) work_.end(outcome_of(*failed), "POP before SMTP: " + failed->text, failed->cause);
        co_return tl::unexpected<client::OpenFailure>(*failed);
      }
    }
    auto opened = co_await client::open(network_, options_.server, log_, stop_);
    report_.connections += opened ? opened->connections : opened.error().connections;
    note_channel(opened ? opened->tls : opened.error().tls, opened ? opened->mechanism : std::string());
    if (opened) note_certificate(opened->session.stream().tls());
    if (!opened) not_open(opened.error());
    co_return opened;
  }

  void note_certificate(const std::optional<net::TlsFacts>& facts) {
    if (facts && facts->certificate) report_.certificate_until = facts->certificate->not_after;
  }

  void note_channel(const std::string& tls, const std::string& mechanism) {
    if (std::exchange(is_channel_known_, true)) return;
    if (!tls.empty()) report_.tls = tls;
    if (!mechanism.empty()) report_.auth = mechanism;
  }

  // Whatever the host says before the first MAIL is said about us, and about no message.
  void not_open(const client::OpenFailure& failure) {
    may_hire_ = false;
    if (failure.interrupted) return;
    log_.warn("no connection with the smart host", {{"host", options_.server.endpoint.text()}, {"why", failure.text}});
    const Outcome outcome = outcome_of(failure);
    // Where another line is open, this one may just have been one too many.
    const bool is_hopeless = outcome != Outcome::unavailable && working_ == 1;
    if (++misses_ >= k_most_misses || is_hopeless) work_.end(outcome, failure.text, failure.cause);
  }

  static Outcome outcome_of(const client::OpenFailure& failure) {
    const bool is_special = failure.outcome == Outcome::tls || failure.outcome == Outcome::auth;
    return is_special ? failure.outcome : Outcome::unavailable;
  }

  // Gives the letter that has to go over another line, where this one ended too early for it.
  Task<std::shared_ptr<Errand>> talk(client::Opened& opened, std::shared_ptr<Errand> errand) {
    Courier courier(opened.session, work_.office);
    const Stop::Listener listener(stop_, [&courier](Stop::Phase phase) {
      if (phase == Stop::Phase::leave) courier.leave();
    });
    bool is_line_over = false;
    while (errand && !is_line_over && !work_.is_over()) {
      const auto trip = co_await courier.carry(errand, false);
      is_line_over = trip.line_is_over;
      note(trip, courier.has_served());
      if (trip.is_over) errand.reset();
      if (work_.is_over()) break;
      if (!is_line_over) errand = co_await work_.feed.next();
      hire();
    }
    if (is_line_over)
      opened.session.close();
    else
      co_await opened.session.quit(k_farewell);
    co_await courier.settled();
    co_return errand;
  }

  void note(const Courier::Trip& trip, bool has_served) {
    if (trip.got_through) misses_ = 0;
    if (trip.line_is_over && !trip.is_our_fault) {
      log_.warn("the smart host's line is over", {{"why", trip.why}});
      if (!has_served && ++misses_ >= k_most_misses) work_.end(Outcome::unavailable, trip.why);
    }
    if (!trip.grievance) return;
    log_.warn("not the mail's fault", {{"why", trip.grievance->text}});
    if (++misses_ >= k_most_misses || trip.grievance->outcome == Outcome::auth) {
      const bool wants_login = trip.grievance->outcome == Outcome::auth;
      work_.end(trip.grievance->outcome, trip.grievance->text, wants_login ? Cause::not_logged_in : Cause::unknown);
    }
  }

  const FlushOptions& options_;
  net::Network& network_;
  Log& log_;
  Stop& stop_;
  FlushReport report_;
  Work work_;
  net::Wakeup changed_;
  std::size_t working_ = 0;  // places that use lines
  std::size_t wanted_ = 1;   // so many may
  bool has_ended_ = false;
  bool may_hire_ = false;
  bool has_asked_pop_ = false;
  bool is_channel_known_ = false;
  std::size_t misses_ = 0;
};

Task<> carry_all(Work& work, client::Session& session, FlushedOver& flushed) {
  Courier courier(session, work.office);
  const Stop::Listener listener(work.office.stop, [&courier](Stop::Phase phase) {
    if (phase == Stop::Phase::leave) courier.leave();
  });
  auto errand = co_await work.feed.next();
  while (errand && !work.is_over() && !flushed.broken) {
    const auto trip = co_await courier.carry(errand, true);
    if (trip.line_is_over) {
      flushed.broken = Error{Errc::lost, trip.why};
      if (!trip.is_our_fault) work.end(Outcome::unavailable, trip.why);
    } else if (trip.grievance) {
      work.end(Outcome::deferred, "the provider takes no mail on this connection: " + trip.grievance->text);
    }
    if (trip.is_over) errand.reset();
    if (!errand && !work.is_over()) errand = co_await work.feed.next();
  }
  if (errand) work.feed.give_back(std::move(errand));
  co_await courier.settled();
  work.settler.close();
}

}  // namespace

Task<FlushReport> flush(const FlushOptions& options, queue::Queue& queue, net::Network& network, net::Worker& disk,
                        OnFlushProgress on_progress, Log& log, Stop& stop) {
  const auto executor = co_await asio::this_coro::executor;
  Flush flush(options, queue, network, disk, std::move(on_progress), log, stop, executor);
  co_return co_await flush.run();
}

Task<FlushedOver> flush_over(client::Session& session, const FlushOptions& options, queue::Queue& queue,
                             net::Worker& disk, OnFlushProgress on_progress, Log& log, Stop& stop) {
  const auto executor = co_await asio::this_coro::executor;
  Work work(options, queue, disk, session.stream().clock(), std::move(on_progress), log, stop, executor);
  FlushedOver flushed;
  const bool has_begun = co_await work.begin();
  if (has_begun && !work.is_over()) {
    std::vector<Task<>> tasks;
    tasks.push_back(carry_all(work, session, flushed));
    tasks.push_back(work.settler.run());
    co_await net::together(std::move(tasks));
  }
  co_await work.conclude(flushed.report, has_begun);
  co_return flushed;
}

}  // namespace odmr::send
