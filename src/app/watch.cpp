#include "app/watch.hpp"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "app/remedy.hpp"
#include "app/run_as.hpp"
#include "app/state_dir.hpp"
#include "net/digest.hpp"
#include "watch/supervisor.hpp"

namespace odmr::app {

namespace {

constexpr const char* k_lock = "watch.lock";

std::string holder_of(const Descriptor& directory) {
  const auto file = system_files().open(directory.get(), k_lock);
  if (!file) return {};
  std::array<char, 32> bytes{};
  const auto count = system_files().read(file->get(), bytes.data(), bytes.size());
  const std::string process(bytes.data(), count ? *count : 0);
  return process.empty() ? process : " (process " + process.substr(0, process.find('\n')) + ")";
}

// The sole right to watch in this state directory, as long as it is open; with our process id in it, for people.
Result<Descriptor> take_watch_lock(const Settings& settings) {
  const auto acting = confine::ActingAs::begin(to_become(settings.run_as));
  if (!acting) return fail(acting.error());
  const auto directory = system_files().open_dir(settings.state_dir);
  if (!directory) return fail(directory.error());
  const auto file = system_files().append(directory->get(), k_lock, 0600);
  if (!file) return fail(file.error());
  auto held = system_files().lock(file->get());
  if (!held && held.error().code == Errc::busy) {
    return fail(Errc::busy, "another \"odmr watch\" works on " + settings.state_dir + holder_of(*directory));
  }
  if (!held) return held;
  if (::ftruncate(file->get(), 0) != 0) return fail(system_error(errno, settings.state_dir + "/" + k_lock));
  const auto written = system_files().write(file->get(), std::to_string(::getpid()) + "\n");
  if (!written) return fail(written.error());
  return held;
}

// Makes it where it is missing, and says now what no run could do anything about. A run that is under way is none of
// that, nor is a full disk, which may have room the next time.
Result<void> try_state_dir(const Settings& settings) {
  const auto taken = take_state_dir(settings);
  if (taken || taken.error().code == Errc::busy || taken.error().code == Errc::no_space) return {};
  return fail(taken.error());
}

bool is_watched(const std::vector<std::string>& names, const ProviderSettings& provider) {
  return names.empty() || std::find(names.begin(), names.end(), provider.name) != names.end();
}

bool has_way_out(const Settings& settings) {
  return settings.outbound || settings.command;
}

watch::Plan plan_of(const Settings& settings, const std::vector<std::string>& names) {
  watch::Plan plan;
  plan.timing = {settings.watch.interval, settings.watch.jitter, settings.watch.longest};
  for (const auto& provider : settings.providers) {
    if (is_watched(names, provider)) plan.providers.push_back(provider.name);
  }
  plan.sends = has_way_out(settings);
  plan.state_dir = settings.state_dir;
  if (settings.outbound) plan.queue = "queue";
  plan.sends_queue_alone = settings.outbound && !settings.command;
  plan.stop_grace = settings.stop_grace;
  return plan;
}

class Watch final : public watch::Work {
 public:
  Watch(Settings settings, const WatchOptions& options, Descriptor lock, WatchFront& front, Log& log)
      : settings_(std::move(settings)), options_(options), lock_(std::move(lock)), front_(front), log_(log) {}

  watch::Plan plan() const { return plan_of(settings_, options_.providers); }

  int run(const watch::Errand& errand, bool is_first, int line) override {
    RunOptions options;
    options.providers = errand.providers;
    options.send_only = errand.providers.empty();
    // Where there is no way out at all, the run has something to say about mail that waits.
    options.receive_only = !errand.sends && has_way_out(settings_);
    options.force = options_.force && is_first;
    options.is_supervised = true;
    options.stays = settings_.watch.hold;
    return front_.run(settings_, options, [line](const watch::Report& report) { watch::send_report(line, report); });
  }

  void died(const std::string& why) override {
    SessionReport report;
    report.session = net::hex(net::random_octets(6));
    report.outcome = Outcome::bug;
    report.started = std::chrono::system_clock::now();
    report.text = why;
    report.remedy = remedy(report.outcome, report.cause, Scene());
    front_.show(report);
  }

  std::optional<watch::Plan> reload() override {
    const auto faults = read_again();
    if (faults.empty()) {
      log_.info("the configuration was read again");
      return plan();
    }
    front_.show_faults(faults);
    log_.error("the configuration is faulty: the one before stays in force",
               {{"faults", std::to_string(faults.size())}});
    return std::nullopt;
  }

 private:
  std::vector<std::string> read_again() {
    auto settings = load_settings(options_.config);
    if (!settings) return settings.error();
    std::vector<std::string> faults;
    for (const auto& name : unknown_providers(*settings, options_.providers))
      faults.push_back("there is no [provider." + name + "], which the command line names");
    if (!faults.empty()) return faults;
    if (settings->state_dir != settings_.state_dir) {
      if (const auto usable = try_state_dir(*settings); !usable) return {usable.error().text};
      auto lock = take_watch_lock(*settings);
      if (!lock) return {lock.error().text};
      lock_ = std::move(*lock);
    }
    settings_ = std::move(*settings);
    ::malloc_trim(0);
    return {};
  }

  Settings settings_;
  const WatchOptions& options_;
  Descriptor lock_;
  WatchFront& front_;
  Log& log_;
};

}  // namespace

watch::Ending ending_of(const SessionReport& report, WallTime now) {
  watch::Ending ending;
  ending.provider = report.provider.value_or(std::string());
  ending.outcome = report.outcome;
  ending.holds = report.holds;
  if (report.not_before) ending.not_before = std::chrono::duration_cast<Duration>(*report.not_before - now);
  return ending;
}

Result<void> watch(Settings settings, const WatchOptions& options, WatchFront& front, Log& log) {
  // First, so that nothing that is started speaks in our name.
  auto manager = net::NotifySocket::of_environment();
  if (!manager) log.warn("the service manager is not told how it goes", {{"why", manager.error().text}});
  if (const auto usable = try_state_dir(settings); !usable) return fail(usable.error());
  auto lock = take_watch_lock(settings);
  if (!lock) return fail(lock.error());
  Watch work(std::move(settings), options, std::move(*lock), front, log);
  watch::Supervisor supervisor(work.plan(), work, manager ? std::move(*manager) : net::NotifySocket(), log);
  // What reading the configuration took is not needed again for a while.
  ::malloc_trim(0);
  return supervisor.run();
}

}  // namespace odmr::app
