#include "cli/probe_command.hpp"

#include "app/doubts.hpp"
#include "app/probe.hpp"
#include "app/run.hpp"
#include "app/test_mail.hpp"
#include "base/ascii.hpp"
#include "cli/probe_printer.hpp"
#include "show/print.hpp"
#include "show/probe_text.hpp"
#include "show/wrapped.hpp"
#include "smtp/path.hpp"

namespace odmr::cli {

namespace {

constexpr std::size_t k_long = 2000;

int refuse(int exit, const std::string& text) {
  show::print_line(stderr, "odmr: " + escape(text, k_long));
  return exit;
}

int send_test_mail(const ProbeOptions& options, const app::Settings& settings, Log& log) {
  if (!settings.outbound) {
    return refuse(exit_status(Outcome::config),
                  "the configuration has no [outbound] with a smart host to send through");
  }
  const std::function<void(const app::TestStep&)> on_step = [&](const app::TestStep& step) {
    if (options.quiet && step.is_good) return;
    show::print_line(stdout, options.json ? show::as_json(step) : show::in_words(step));
  };
  const auto result = app::send_test_mail(settings, options.test_mail, on_step, log);
  if (result.exit == 0 && !options.quiet && !options.json) {
    show::print_line(stdout, "the message was taken; whether it arrives, " + escape(options.test_mail) + " will see");
  }
  return result.exit;
}

int probe_all(const ProbeOptions& options, const app::Settings& settings, Log& log) {
  const auto unknown = app::unknown_providers(settings, options.providers);
  for (const auto& name : unknown)
    refuse(0, "no provider \"" + name + "\" in the configuration ([provider." + name + "])");
  if (!unknown.empty()) return k_exit_usage;
  for (const auto& doubt : app::doubts_about(settings)) log.warn(doubt);
  ProbePrinter printer(options);
  const app::OnProbeStep on_step = [&](const app::ProbeStep& step) { printer.print(step); };
  const Outcome outcome = app::probe(settings, options.providers, on_step, log);
  printer.end();
  if (!options.quiet && !options.json)
    show::print_wrapped(stdout, show::summary_of_probe(outcome, app::how_far(settings, options.providers)));
  return exit_status(outcome);
}

}  // namespace

int probe_command(const ProbeOptions& options) {
  if (!options.test_mail.empty() && !smtp::parse_mailbox(options.test_mail)) {
    return refuse(k_exit_usage, "\"" + options.test_mail + "\" is no address");
  }
  const auto settings = app::load_settings(options.config);
  if (!settings) {
    for (const auto& fault : settings.error()) refuse(0, fault);
    return exit_status(Outcome::config);
  }
  const auto log = make_stderr_log(log_level(options, Level::warn), settings->log.format);
  return options.test_mail.empty() ? probe_all(options, *settings, *log) : send_test_mail(options, *settings, *log);
}

}  // namespace odmr::cli
