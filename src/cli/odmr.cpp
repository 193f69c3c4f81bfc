// odmr: the customer's half of ODMR.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/run.hpp"
#include "base/ascii.hpp"
#include "cli/common_options.hpp"
#include "cli/process.hpp"
#include "cli/progress.hpp"
#include "cli/render.hpp"
#include "net/digest.hpp"

namespace odmr::cli {

namespace {

struct Options : CommonOptions {
  bool receive_only = false;
  std::vector<std::string> providers;
};

class Terminal final : public app::RunObserver {
 public:
  Terminal(const Options& options, ProgressLine& progress) : options_(options), progress_(progress) {}

  void on_progress(const std::string& provider, const receive::Tally& tally, std::uint64_t bytes) override {
    progress_.show(provider, tally, bytes);
  }

  void on_session(const app::SessionReport& report) override {
    progress_.clear();
    if (options_.json) print_line(stdout, as_json(report));
    const bool is_well = exit_status(report.outcome) == 0;
    if (options_.quiet) {
      if (!is_well) print_line(stderr, "odmr: " + in_words(report));
    } else if (!options_.json) {
      print_line(stdout, in_words(report));
    }
    std::fflush(stdout);
  }

 private:
  const Options& options_;
  ProgressLine& progress_;
};

int report_faults(const Options& options, const std::vector<std::string>& faults) {
  for (const auto& fault : faults) print_line(stderr, "odmr: " + escape(fault, 2000));
  if (options.json) {
    app::SessionReport report;
    report.session = net::hex(net::random_octets(6));
    report.outcome = Outcome::config;
    report.started = std::chrono::system_clock::now();
    report.text = faults.empty() ? std::string() : faults.front();
    print_line(stdout, as_json(report));
  }
  return exit_status(Outcome::config);
}

int run(const Options& options) {
  const auto settings = app::load_settings(options.config);
  if (!settings) return report_faults(options, settings.error());
  const auto unknown = app::unknown_providers(*settings, options.providers);
  for (const auto& name : unknown) {
    print_line(stderr,
               "odmr: no provider \"" + escape(name) + "\" in the configuration ([provider." + escape(name) + "])");
  }
  if (!unknown.empty()) return k_exit_usage;

  ProgressLine progress(!options.quiet && !options.json);
  // Somebody who watches the mail come in does not want a line for each message beside it.
  const Level configured = settings->log.level.value_or(progress.is_shown() ? Level::warn : Level::info);
  const auto log =
      make_stderr_log(log_level(options, configured), settings->log.format, [&progress] { progress.clear(); });
  for (const auto& table : settings->unused) log->warn("this version does nothing with " + table + " yet");
  Terminal terminal(options, progress);
  return exit_status(app::run(*settings, options.providers, terminal, *log));
}

std::string describe(const app::ProviderSettings& provider) {
  std::string domains;
  for (const auto& domain : provider.domains) domains += (domains.empty() ? "" : ", ") + domain;
  return fmt::format("provider {}: {}, {} ({})", provider.name, provider.endpoint.text(),
                     counted(provider.domains.size(), "domain"), domains);
}

int check(const Options& options) {
  const auto settings = app::load_settings(options.config);
  const auto faults = settings ? std::vector<std::string>() : settings.error();
  if (options.json) {
    print_line(stdout, nlohmann::ordered_json{{"good", faults.empty()}, {"faults", faults}}.dump(
                           -1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    for (const auto& fault : faults) print_line(stdout, escape(fault, 2000));
  }
  if (!faults.empty()) return exit_status(Outcome::config);
  if (options.quiet || options.json) return 0;
  for (const auto& provider : settings->providers) print_line(stdout, describe(provider));
  for (const auto& table : settings->unused)
    print_line(stdout, "note: this version does nothing with " + table + " yet");
  print_line(stdout, "the configuration is good");
  return 0;
}

int main(int argc, char** argv) {
  CLI::App program("Fetches the mail that a provider holds for this server, by ODMR (RFC 2645).", "odmr");
  Options options;
  add_common(program, options);

  auto* run_command = program.add_subcommand("run", "fetch all mail that is waiting, once");
  run_command->add_option("PROVIDER", options.providers, "names of [provider.NAME] in the configuration; default: all");
  run_command->add_flag("--receive-only", options.receive_only, "only fetch, send nothing");
  auto* check_command = program.add_subcommand("check", "find every fault in the configuration; connects to nothing");
  program.footer("See odmr(1) and odmr.toml(5).");

  if (const auto exit = parse(program, argc, argv)) return *exit;
  return check_command->parsed() ? check(options) : run(options);
}

}  // namespace

}  // namespace odmr::cli

int main(int argc, char** argv) {
  odmr::cli::prepare_process();
  odmr::cli::leave(odmr::cli::guarded("odmr", odmr::cli::main, argc, argv));
}
