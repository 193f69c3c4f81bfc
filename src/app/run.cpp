#include "app/run.hpp"

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <csignal>
#include <utility>

#include "app/bounces.hpp"
#include "app/plan.hpp"
#include "net/digest.hpp"
#include "net/system_network.hpp"
#include "spool/lock.hpp"

namespace odmr::app {

namespace {

bool is_named(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

// What a bounce record may need (receive::BounceRecord), and more.
constexpr std::uint64_t k_least_space = 128 * 1024;

SessionReport report_without_connection(const std::optional<std::string>& provider, Outcome outcome,
                                        const std::string& text) {
  SessionReport report;
  report.session = net::hex(net::random_octets(6));
  report.provider = provider;
  report.outcome = outcome;
  report.started = std::chrono::system_clock::now();
  report.text = text;
  return report;
}

// A new user has no ~/.local/state yet. What cannot be made shows when the directory itself is.
void make_parents(const std::string& path) {
  for (auto slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    (void)system_files().make_dir(path.substr(0, slash), 0700);
  }
}

// The first signal asks, the second one does not.
class SignalStop {
 public:
  SignalStop(asio::io_context& loop, Clock& clock, Stop& stop, Duration grace, Log& log)
      : signals_(loop, SIGINT, SIGTERM),
        clock_(clock),
        stop_(stop),
        grace_(grace),
        log_(log),
        grace_over_(clock.alarm([this] { stop_.advance(Stop::Phase::leave); })) {
    // A terminal that is closed must not cut a message; nohup's wish is left as it is.
    struct sigaction hangup {};
    if (sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN) signals_.add(SIGHUP);
    wait();
  }

  // A signal that has been caught already may still call on_signal(): it must not wait for another one, or the loop
  // would never run empty.
  void forget() {
    is_forgotten_ = true;
    grace_over_->clear();
    std::error_code ignored;
    signals_.cancel(ignored);
  }

 private:
  void wait() {
    signals_.async_wait([this](std::error_code error, int number) {
      if (!error && !is_forgotten_) on_signal(number);
    });
  }

  void on_signal(int number) {
    const std::string name = number == SIGINT ? "SIGINT" : number == SIGHUP ? "SIGHUP" : "SIGTERM";
    if (stop_.requested()) {
      log_.warn("second signal: leaving at once", {{"signal", name}});
      stop_.advance(Stop::Phase::leave);
    } else {
      log_.info("stopping: the message in hand is finished first", {{"signal", name}});
      grace_over_->set(clock_.now() + grace_);
      stop_.advance(Stop::Phase::finish);
    }
    wait();
  }

  asio::signal_set signals_;
  Clock& clock_;
  Stop& stop_;
  Duration grace_;
  Log& log_;
  std::unique_ptr<Alarm> grace_over_;
  bool is_forgotten_ = false;
};

class Run {
 public:
  Run(const Settings& settings, RunObserver& observer, Log& log)
      : settings_(settings),
        observer_(observer),
        log_(log),
        network_(loop_),
        bounces_(settings.state_dir + "/bounces", system_files(), network_.clock()),
        signals_(loop_, network_.clock(), stop_, settings.stop_grace, log) {}

  Outcome run(const std::vector<std::string>& providers) {
    if (!lock(providers)) return worst_;
    for (const auto& provider : settings_.providers) {
      if (is_named(providers, provider.name)) start(provider);
    }
    if (running_ > 0) loop_.run();
    return worst_;
  }

 private:
  bool lock(const std::vector<std::string>& providers) {
    auto taken = take_state_dir();
    if (taken) {
      lock_.emplace(std::move(*taken));
      return true;
    }
    const bool is_locked = taken.error().code == Errc::busy;
    const Outcome outcome = is_locked ? Outcome::locked : Outcome::state;
    const std::string text = is_locked ? "another run works on " + settings_.state_dir : taken.error().text;
    for (const auto& provider : settings_.providers) {
      if (is_named(providers, provider.name)) ended(report_without_connection(provider.name, outcome, text));
    }
    return false;
  }

  // Whether bounces could be kept shows now, before there is one.
  Result<spool::DirectoryLock> take_state_dir() {
    if (settings_.state_dir_is_default) make_parents(settings_.state_dir);
    const auto made = system_files().make_dir(settings_.state_dir, 0700);
    if (!made) return fail(made.error());
    auto taken = spool::DirectoryLock::take(settings_.state_dir);
    if (!taken) return taken;
    const auto store = spool::Store::in(settings_.state_dir + "/bounces");
    if (!store) return fail(store.error());
    const auto space = free_space(settings_.state_dir);
    if (!space) return fail(space.error());
    if (*space < k_least_space) return fail(Errc::no_space, settings_.state_dir + ": the disk is full");
    return taken;
  }

  void start(const ProviderSettings& provider) {
    auto plan = plan_fetch(settings_, provider);
    if (!plan) {
      // No session came about for which the provider could be named (contract).
      ended(report_without_connection(std::nullopt, Outcome::config,
                                      "[provider." + provider.name + "]: " + plan.error().text));
      return;
    }
    if (plan->server.tls == client::TlsPolicy::none || plan->server.tls == client::TlsPolicy::if_available) {
      log_.warn("tls is not required: mail and login may be read, or changed, on the way",
                {{"provider", provider.name}});
    }
    ++running_;
    plans_.push_back(std::make_unique<FetchPlan>(std::move(*plan)));
    asio::co_spawn(loop_, fetch_one(*plans_.back()), [this](const std::exception_ptr& problem) {
      if (--running_ == 0) signals_.forget();
      if (problem) std::rethrow_exception(problem);
    });
  }

  net::Task<> fetch_one(const FetchPlan& plan) {
    OnProgress on_progress = [this, &plan](const receive::Tally& tally, std::uint64_t bytes) {
      observer_.on_progress(plan.provider, tally, bytes);
    };
    const auto report = co_await fetch(plan, network_, system_files(), bounces_, std::move(on_progress), log_, stop_);
    ended(report);
  }

  void ended(const SessionReport& report) {
    worst_ = worst(worst_, report.outcome);
    observer_.on_session(report);
  }

  const Settings& settings_;
  RunObserver& observer_;
  Log& log_;
  asio::io_context loop_{1};
  net::SystemNetwork network_;
  BounceFolder bounces_;
  Stop stop_;
  SignalStop signals_;
  std::optional<spool::DirectoryLock> lock_;
  std::vector<std::unique_ptr<FetchPlan>> plans_;
  std::size_t running_ = 0;
  Outcome worst_ = Outcome::no_mail;
};

}  // namespace

Outcome run(const Settings& settings, const std::vector<std::string>& providers, RunObserver& observer, Log& log) {
  // Never destroyed: a resolver's thread that waits for a dead name server would hold up the end.
  auto* run = new Run(settings, observer, log);
  return run->run(providers);
}

std::vector<std::string> unknown_providers(const Settings& settings, const std::vector<std::string>& providers) {
  std::vector<std::string> unknown;
  for (const auto& name : providers) {
    const bool is_known = std::any_of(settings.providers.begin(), settings.providers.end(),
                                      [&](const ProviderSettings& one) { return one.name == name; });
    if (!is_known) unknown.push_back(name);
  }
  return unknown;
}

}  // namespace odmr::app
