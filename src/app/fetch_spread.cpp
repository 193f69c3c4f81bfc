#include "app/fetch_spread.hpp"

#include <algorithm>
#include <asio/this_coro.hpp>
#include <chrono>
#include <deque>
#include <utility>

#include "net/together.hpp"
#include "net/wakeup.hpp"

namespace odmr::app {

namespace {

using net::Task;

class Spread {
 public:
  Spread(const asio::any_io_executor& loop, const FetchPlan& plan, net::Network& network, const Books& books,
         BeforeTurn* before_turn, OnProgress on_progress, Log& log, Stop& stop)
      : plan_(plan),
        network_(network),
        books_(books),
        before_turn_(before_turn),
        on_progress_(std::move(on_progress)),
        account_(plan, network.clock(), books.journal, log),
        report_(account_.report()),
        log_(log),
        stop_(stop),
        begin_(network.clock().now()),
        answered_(loop) {
    const auto lanes = std::min<std::size_t>(plan.parallel, plan.domains.size());
    groups_.resize(lanes);
    for (std::size_t i = 0; i < plan.domains.size(); ++i) groups_[i % lanes].push_back(plan.domains[i]);
    under_way_.resize(lanes);
  }

  Task<SessionReport> run() {
    co_await account_.begin();
    std::vector<Task<>> lanes;
    for (std::size_t i = 0; i < under_way_.size(); ++i) lanes.push_back(lane(i));
    co_await net::together(std::move(lanes));
    co_return co_await account_.conclude();
  }

 private:
  using Domains = std::vector<std::string>;

  Task<> lane(std::size_t i) {
    while (i > 0 && !is_answered_) co_await answered_.wait();
    while (!groups_.empty() && !is_given_up_) {
      Domains domains = std::move(groups_.front());
      groups_.pop_front();
      const bool goes_on = co_await fetch_group(i, std::move(domains));
      if (!goes_on) co_return;
    }
    has_answered();  // where the first has come to nothing, the others have nothing to wait for
  }

  // False: whoever is at work will ask for these domains.
  Task<bool> fetch_group(std::size_t i, Domains domains) {
    const FetchPlan part = part_of(domains);
    BeforeTurn* const before_turn = std::exchange(before_turn_, nullptr);
    OnProgress on_progress = [this, i](const receive::Tally& tally, std::uint64_t bytes) { tell(i, tally, bytes); };
    ++at_work_;
    auto part_report = co_await fetch(part, network_, books_, before_turn, std::move(on_progress), log_, stop_);
    --at_work_;
    under_way_[i] = {};
    if (is_turned_away(part_report) && at_work_ > 0 && !stop_.requested()) {
      log_.info("the provider allows no further ATRN at a time: these domains are asked for afterwards",
                {{"session", plan_.session_id}, {"provider", plan_.provider}, {"why", part_report.text}});
      report_.connections += part_report.connections;
      groups_.push_back(std::move(domains));
      co_return false;
    }
    add(std::move(part_report));
    co_return true;
  }

  FetchPlan part_of(const Domains& domains) {
    FetchPlan part = plan_;
    part.domains = domains;
    if (std::exchange(is_recipients_told_, true)) part.recipients.reset();  // once is enough
    part.lane = Lane{[this] { return ++connections_; }, [this] { has_answered(); }};
    // What a session may take, and what it may ask of the target, is for all of them together.
    const auto shared_out = [this](auto whole) {
      return whole == 0 ? whole : std::max<decltype(whole)>(1, whole / under_way_.size());
    };
    part.max_sessions = shared_out(plan_.max_sessions);
    part.limits.session_size = shared_out(plan_.limits.session_size);
    part.target.max_connections = shared_out(plan_.target.max_connections);
    if (auto& time = part.limits.session_time)
      *time = std::max(*time - (network_.clock().now() - begin_), Duration(std::chrono::seconds(1)));
    return part;
  }

  void has_answered() {
    is_answered_ = true;
    answered_.wake();
  }

  // RFC 2645 5.1.1, 450: it may be that others are not allowed while one is under way. It may also be that the provider
  // takes no further connection.
  static bool is_turned_away(const SessionReport& part) {
    const bool has_come_to_nothing = part.outcome == Outcome::refused || part.outcome == Outcome::unavailable;
    return has_come_to_nothing && (!part.reply || part.reply->starts_with("4"));
  }

  void add(SessionReport part) {
    report_.connections += part.connections;
    report_.received += part.received;
    const bool was_turned = part.reply && part.reply->starts_with("250");
    const bool is_target_at_fault = part.outcome == Outcome::local_down || part.outcome == Outcome::state;
    // What kept these domains' mail away keeps the others' away, too.
    const bool is_hopeless = part.outcome > Outcome::deferred && (!was_turned || is_target_at_fault);
    is_given_up_ = is_given_up_ || is_hopeless || stop_.requested();
    if (!report_.tls) report_.tls = std::move(part.tls);
    if (!report_.auth) report_.auth = std::move(part.auth);
    if (!report_.reply) report_.reply = std::move(part.reply);
    if (part.outcome > report_.outcome || (part.outcome == report_.outcome && report_.text.empty())) {
      report_.outcome = part.outcome;
      report_.cause = part.cause;
      report_.text = std::move(part.text);
      report_.remedy = std::move(part.remedy);
    }
  }

  void tell(std::size_t i, const receive::Tally& tally, std::uint64_t bytes) {
    if (!on_progress_) return;
    under_way_[i] = tally;
    receive::Tally so_far = report_.received;
    for (const auto& one : under_way_) so_far += one;
    on_progress_(so_far, bytes);
  }

  const FetchPlan& plan_;
  net::Network& network_;
  const Books& books_;
  BeforeTurn* before_turn_;  // null once it has had its say
  bool is_recipients_told_ = false;
  OnProgress on_progress_;
  SessionAccount account_;
  SessionReport& report_;  // the account's
  Log& log_;
  Stop& stop_;
  const TimePoint begin_;
  std::deque<Domains> groups_;             // nobody has asked for them
  std::vector<receive::Tally> under_way_;  // by lane
  std::size_t at_work_ = 0;                // lanes
  std::uint64_t connections_ = 0;          // numbers given to them
  bool is_answered_ = false;               // the first ATRN
  bool is_given_up_ = false;
  net::Wakeup answered_;
};

}  // namespace

Task<SessionReport> fetch_spread(const FetchPlan& plan, net::Network& network, const Books& books,
                                 BeforeTurn* before_turn, OnProgress on_progress, Log& log, Stop& stop) {
  const auto loop = co_await asio::this_coro::executor;
  Spread session(loop, plan, network, books, before_turn, std::move(on_progress), log, stop);
  co_return co_await session.run();
}

}  // namespace odmr::app
