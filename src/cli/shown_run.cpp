#include "cli/shown_run.hpp"

#include "app/remedy.hpp"
#include "base/ascii.hpp"
#include "net/digest.hpp"
#include "show/print.hpp"
#include "show/progress.hpp"
#include "show/render.hpp"
#include "show/wrapped.hpp"

namespace odmr::cli {

namespace {

class Terminal final : public app::RunObserver {
 public:
  Terminal(const CommonOptions& options, show::ProgressLine& progress, app::RunObserver* also)
      : options_(options), progress_(progress), also_(also) {}

  void on_receiving(const std::string& provider, const receive::Tally& tally, std::uint64_t bytes) override {
    progress_.show(provider, tally.messages, tally.bytes + bytes);
  }
  void on_sending(const send::FlushTally& tally) override { progress_.show("sending", tally.messages, tally.bytes); }

  void on_session(const app::SessionReport& report) override {
    progress_.clear();
    show_report(options_, report);
    if (also_ != nullptr) also_->on_session(report);
  }
  void on_life() override {
    if (also_ != nullptr) also_->on_life();
  }
  void on_waiting() override {
    if (also_ != nullptr) also_->on_waiting();
  }

 private:
  const CommonOptions& options_;
  show::ProgressLine& progress_;
  app::RunObserver* also_;
};

}  // namespace

void show_report(const CommonOptions& options, const app::SessionReport& report) {
  if (options.json) show::print_line(stdout, show::as_json(report));
  const bool is_well = exit_status(report.outcome) == 0;
  if (options.quiet) {
    if (!is_well) show::print_line(stderr, "odmr: " + show::in_words(report));
  } else if (!options.json) {
    show::print_wrapped(stdout, show::in_words(report), 2);
  }
  std::fflush(stdout);
}

int run_shown(const CommonOptions& options, const app::Settings& settings, const app::RunOptions& run,
              app::RunObserver* also) {
  show::ProgressLine progress(!options.quiet && !options.json);
  // Somebody who watches the mail come in does not want a line for each message beside it.
  const Level configured = settings.log.level.value_or(progress.is_shown() ? Level::warn : Level::info);
  const auto log =
      make_stderr_log(log_level(options, configured), settings.log.format, [&progress] { progress.clear(); });
  Terminal terminal(options, progress, also);
  return exit_status(app::run(settings, run, terminal, *log));
}

int report_faults(const CommonOptions& options, const std::vector<std::string>& faults) {
  for (const auto& fault : faults) show::print_line(stderr, "odmr: " + escape(fault, 2000));
  if (options.json) {
    app::SessionReport report;
    report.session = net::hex(net::random_octets(6));
    report.outcome = Outcome::config;
    report.started = std::chrono::system_clock::now();
    report.text = faults.empty() ? std::string() : faults.front();
    report.cause = Cause::configuration;
    report.remedy = app::remedy(report.outcome, report.cause, app::Scene());
    show::print_line(stdout, show::as_json(report));
  }
  return exit_status(Outcome::config);
}

bool are_known(const app::Settings& settings, const std::vector<std::string>& providers) {
  const auto unknown = app::unknown_providers(settings, providers);
  for (const auto& name : unknown) {
    show::print_line(
        stderr, "odmr: no provider \"" + escape(name) + "\" in the configuration ([provider." + escape(name) + "])");
  }
  return unknown.empty();
}

}  // namespace odmr::cli
