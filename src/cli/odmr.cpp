// odmr: the customer's half of ODMR.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <nlohmann/json.hpp>

#include "app/run.hpp"
#include "base/ascii.hpp"
#include "cli/process.hpp"
#include "cli/progress.hpp"
#include "cli/render.hpp"
#include "net/digest.hpp"

namespace odmr::cli {

namespace {

struct Options {
  std::string config;
  int verbose = 0;
  bool quiet = false;
  bool json = false;
  bool receive_only = false;
  std::vector<std::string> providers;
};

void print_line(std::FILE* to, const std::string& line) {
  fmt::print(to, "{}\n", line);
}

Level log_level(const Options& options, std::optional<Level> wanted, bool has_progress_line) {
  // Somebody who watches the mail come in does not want a line for each message beside it.
  const Level configured = wanted.value_or(has_progress_line ? Level::warn : Level::info);
  if (options.verbose >= 2) return Level::trace;
  if (options.verbose == 1) return std::max(configured, Level::debug);
  return options.quiet ? Level::error : configured;
}

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
  const auto log = make_stderr_log(log_level(options, settings->log_level, progress.is_shown()), settings->log_format,
                                   [&progress] { progress.clear(); });
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

void add_common(CLI::App& program, Options& options) {
  program.add_option("-c,--config", options.config, "the configuration file")->type_name("FILE");
  program.add_flag("-v,--verbose", options.verbose, "say more; twice: also what goes over the wire, without secrets");
  program.add_flag("-q,--quiet", options.quiet, "say nothing unless something is wrong");
  program.add_flag("--json", options.json, "print results as JSON, one object a line");
  program.set_version_flag("--version", "odmr " ODMR_VERSION, "print the version");
  program.set_help_flag("-h,--help", "print this help");
}

int main(int argc, char** argv) {
  CLI::App program("Fetches the mail that a provider holds for this server, by ODMR (RFC 2645).", "odmr");
  Options options;
  add_common(program, options);
  program.require_subcommand(1);
  program.fallthrough();

  auto* run_command = program.add_subcommand("run", "fetch all mail that is waiting, once");
  run_command->add_option("PROVIDER", options.providers, "names of [provider.NAME] in the configuration; default: all");
  run_command->add_flag("--receive-only", options.receive_only, "only fetch, send nothing");
  auto* check_command = program.add_subcommand("check", "find every fault in the configuration; connects to nothing");
  program.footer("See odmr(1) and odmr.toml(5).");

  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // 0 for --help and --version.
    return program.exit(error) == 0 ? 0 : k_exit_usage;
  }
  return check_command->parsed() ? check(options) : run(options);
}

int guarded_main(int argc, char** argv) {
  try {
    return main(argc, argv);
  } catch (const std::exception& problem) {
    print_line(stderr, "odmr: a fault of its own, please report it: " + escape(problem.what()));
    return exit_status(Outcome::bug);
  }
}

}  // namespace

}  // namespace odmr::cli

int main(int argc, char** argv) {
  odmr::cli::prepare_process();
  odmr::cli::leave(odmr::cli::guarded_main(argc, argv));
}
