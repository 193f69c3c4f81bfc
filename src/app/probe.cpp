#include "app/probe.hpp"

#include <algorithm>
#include <asio/co_spawn.hpp>
#include <asio/io_context.hpp>
#include <utility>

#include "app/confinement.hpp"
#include "app/plan.hpp"
#include "app/probe_place.hpp"
#include "app/probe_server.hpp"
#include "app/run_as.hpp"
#include "app/signal_stop.hpp"
#include "net/system_network.hpp"

namespace odmr::app {

namespace {

using net::Task;

// A local target, and the domains for which mail may come to it.
struct Target {
  const DeliverSettings* settings = nullptr;
  std::vector<std::string> domains;
  Result<deliver::TargetOptions> options;
};

class Probe {
 public:
  Probe(const Settings& settings, const std::vector<std::string>& providers, config::RunCommand command,
        const OnProbeStep& on_step, Log& log)
      : settings_(settings),
        providers_(providers),
        command_(std::move(command)),
        on_step_(on_step),
        log_(log),
        keyring_(command_),
        network_(loop_),
        signals_(loop_, network_.clock(), stop_, settings.stop_grace, log) {}

  Outcome run() {
    holder_ = holder_of_lock(settings_.state_dir);
    plan();
    if (const auto done = become_configured(settings_.run_as, log_); !done) {
      configuration_failed(head_of(With::state, settings_.state_dir), Scene{With::state, {}, 0},
                           "run_as: " + done.error().text);
      return worst_;
    }
    shut_in(rules_for_run(settings_), log_);
    asio::co_spawn(loop_, all(), [this](const std::exception_ptr& problem) {
      signals_.forget();
      if (problem) std::rethrow_exception(problem);
    });
    loop_.run();
    return worst_;
  }

 private:
  static ProbeStep head_of(With part, const std::string& where) {
    ProbeStep head;
    head.part = part;
    head.where = where;
    return head;
  }

  bool is_named(const std::string& provider) const {
    return providers_.empty() || std::find(providers_.begin(), providers_.end(), provider) != providers_.end();
  }

  // --- before the process shuts itself in: secrets and trust

  void plan() {
    for (const auto& provider : settings_.providers) {
      if (!is_named(provider.name)) continue;
      plans_.emplace_back(&provider, plan_fetch(settings_, provider, keyring_));
      if (auto& planned = plans_.back().second; planned) be_impatient(planned->server.patience);
      add_target(provider.deliver, provider.domains);
    }
    // Bounces go there.
    if (targets_.empty()) add_target(settings_.deliver, {});
    if (settings_.outbound && settings_.outbound->to == OutboundSettings::To::smart_host)
      flush_ = plan_flush(settings_, keyring_);
    if (flush_ && *flush_) be_impatient((*flush_)->server.patience);
  }

  void add_target(const DeliverSettings& deliver, const std::vector<std::string>& domains) {
    auto found = std::find_if(targets_.begin(), targets_.end(),
                              [&](const Target& one) { return one.settings->table == deliver.table; });
    if (found == targets_.end()) {
      found = targets_.insert(targets_.end(), Target{&deliver, {}, plan_target(settings_, deliver, keyring_)});
      if (found->options) be_impatient(found->options->server.patience);
    }
    for (const auto& domain : domains) {
      auto& all = found->domains;
      if (std::find(all.begin(), all.end(), domain) == all.end()) all.push_back(domain);
    }
  }

  // --- the parts

  Task<> all() {
    for (const auto& [provider, plan] : plans_) co_await try_provider(*provider, plan);
    for (const auto& target : targets_) co_await try_target(target);
    if (flush_) co_await try_smart_host();
    count(probe_state(settings_, holder_, network_.clock(), on_step_));
  }

  Task<> try_provider(const ProviderSettings& provider, const Result<FetchPlan>& plan) {
    if (stop_.requested()) co_return;
    if (plan) {
      if (plan->signal) {
        const auto of_signal = co_await probe_signal(*plan, network_, stop_, on_step_);
        count(of_signal);
      }
      if (provider.protocol == Protocol::signal) co_return;
      const auto outcome = co_await probe_provider(*plan, network_, log_, stop_, on_step_);
      count(outcome);
      co_return;
    }
    auto head = head_of(With::provider, provider.endpoint.text());
    head.provider = provider.name;
    configuration_failed(head, Scene{With::provider, "[provider." + provider.name + "]", 0}, plan.error().text);
  }

  Task<> try_target(const Target& target) {
    if (stop_.requested()) co_return;
    const auto& settings = *target.settings;
    if (settings.kind == deliver::TargetOptions::Kind::maildir) {
      count(probe_maildir(settings.directory, settings.table, network_.clock(), on_step_));
    } else if (target.options) {
      const auto outcome =
          co_await probe_target(*target.options, settings.table, target.domains, network_, log_, stop_, on_step_);
      count(outcome);
    } else {
      configuration_failed(head_of(With::target, settings.endpoint.text()), Scene{With::target, settings.table, 0},
                           target.options.error().text);
    }
  }

  Task<> try_smart_host() {
    if (stop_.requested()) co_return;
    if (*flush_) {
      const auto outcome = co_await probe_smart_host(**flush_, network_, log_, stop_, on_step_);
      count(outcome);
      co_return;
    }
    configuration_failed(head_of(With::smart_host, settings_.outbound->endpoint.text()),
                         Scene{With::smart_host, "[outbound]", 0}, flush_->error().text);
  }

  void configuration_failed(const ProbeStep& head, const Scene& scene, const std::string& text) {
    ProbePart part(head, scene, {}, network_.clock(), on_step_);
    part.failed("configuration", text, Outcome::config, Cause::configuration);
    count(part.outcome());
  }

  void count(Outcome outcome) { worst_ = worst(worst_, outcome); }

  const Settings& settings_;
  const std::vector<std::string>& providers_;
  config::RunCommand command_;
  const OnProbeStep& on_step_;
  Log& log_;
  Keyring keyring_;
  asio::io_context loop_{1};
  net::SystemNetwork network_;
  Stop stop_;
  SignalStop signals_;
  std::optional<long> holder_;
  std::vector<std::pair<const ProviderSettings*, Result<FetchPlan>>> plans_;
  std::vector<Target> targets_;
  std::optional<Result<send::FlushOptions>> flush_;
  Outcome worst_ = Outcome::no_mail;
};

}  // namespace

namespace {

const char* end_of(Protocol protocol) {
  switch (protocol) {
    case Protocol::odmr:
      return "ATRN";
    case Protocol::pop3:
    case Protocol::imap:
      return "the mail in the mailbox";
    case Protocol::etrn:
      return "ETRN";
    case Protocol::signal:
      return "the signal";
  }
  return "";
}

}  // namespace

std::string how_far(const Settings& settings, const std::vector<std::string>& providers) {
  std::vector<std::string> ends;
  for (const auto& provider : settings.providers) {
    const bool is_named =
        providers.empty() || std::find(providers.begin(), providers.end(), provider.name) != providers.end();
    const std::string end = end_of(provider.protocol);
    if (is_named && std::find(ends.begin(), ends.end(), end) == ends.end()) ends.push_back(end);
  }
  std::string words;
  for (std::size_t i = 0; i < ends.size(); ++i)
    words += (i == 0 ? "" : i + 1 == ends.size() ? " and " : ", ") + ends[i];
  return words;
}

Outcome probe(const Settings& settings, const std::vector<std::string>& providers, const OnProbeStep& on_step,
              Log& log) {
  // Never destroyed: a resolver's thread that waits for a dead name server would hold up the end.
  auto* helper = new Result<confine::Helper>(confine::Helper::start(commands_of(settings)));
  config::RunCommand command = [helper](const confine::Command& argv, Duration patience) {
    return *helper ? (*helper)->output_of(argv, patience) : fail(helper->error());
  };
  auto* probe = new Probe(settings, providers, std::move(command), on_step, log);
  return probe->run();
}

}  // namespace odmr::app
