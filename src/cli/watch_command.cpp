#include "cli/watch_command.hpp"

#include <exception>

#include "app/remedy.hpp"
#include "app/state_dir.hpp"
#include "base/ascii.hpp"
#include "cli/process.hpp"
#include "cli/shown_run.hpp"
#include "net/digest.hpp"
#include "show/print.hpp"
#include "show/render.hpp"

namespace odmr::cli {

namespace {

// The reports of a run on their way to the process that began it.
class Reporter final : public app::RunObserver {
 public:
  explicit Reporter(const std::function<void(const watch::Report&)>& tell) : tell_(tell) {}
  void on_receiving(const std::string& /*provider*/, const receive::Tally& /*tally*/,
                    std::uint64_t /*bytes*/) override {}
  void on_sending(const send::FlushTally& /*tally*/) override {}
  void on_session(const app::SessionReport& report) override {
    tell_({app::ending_of(report, std::chrono::system_clock::now()), show::in_words(report)});
  }
  void on_life() override { tell_({}); }
  void on_waiting() override {
    watch::Report report;
    report.waits = true;
    tell_(report);
  }

 private:
  const std::function<void(const watch::Report&)>& tell_;
};

class Front final : public app::WatchFront {
 public:
  explicit Front(const CommonOptions& options) : options_(options) {}

  // What is thrown must not get past the process that this run has to itself.
  int run(const app::Settings& settings, const app::RunOptions& run,
          const std::function<void(const watch::Report&)>& tell) override {
    try {
      Reporter reporter(tell);
      return run_shown(options_, settings, run, &reporter);
    } catch (const std::exception& problem) {
      return tell_fault("odmr", problem);
    }
  }
  void show(const app::SessionReport& report) override { show_report(options_, report); }
  void show_faults(const std::vector<std::string>& faults) override {
    for (const auto& fault : faults) show::print_line(stderr, "odmr: " + escape(fault, 2000));
  }

 private:
  const CommonOptions& options_;
};

int cannot_watch(const CommonOptions& options, const app::Scene& scene, const Error& why) {
  app::SessionReport report;
  report.session = net::hex(net::random_octets(6));
  report.outcome = why.code == Errc::busy ? Outcome::locked : Outcome::state;
  report.started = std::chrono::system_clock::now();
  report.text = why.text;
  report.cause = why.code == Errc::busy ? Cause::watched : app::cause_of_state(why);
  report.remedy = app::remedy(report.outcome, report.cause, scene, why.text);
  show_report(options, report);
  return exit_status(report.outcome);
}

}  // namespace

int watch_command(const WatchCommandOptions& options) {
  auto settings = app::load_settings(options.config);
  if (!settings) return report_faults(options, settings.error());
  if (!are_known(*settings, options.watch.providers)) return k_exit_usage;
  app::WatchOptions watch = options.watch;
  watch.config = options.config;
  const auto log = make_stderr_log(log_level(options, settings->log.level.value_or(Level::info)), settings->log.format);
  Front front(options);
  const auto scene = app::scene_of_state(*settings);
  const auto watched = app::watch(std::move(*settings), watch, front, *log);
  return watched ? 0 : cannot_watch(options, scene, watched.error());
}

}  // namespace odmr::cli
