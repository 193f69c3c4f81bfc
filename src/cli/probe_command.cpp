#include "cli/probe_command.hpp"

#include <fmt/format.h>

#include "app/doubts.hpp"
#include "app/probe.hpp"
#include "app/run.hpp"
#include "app/test_mail.hpp"
#include "base/ascii.hpp"
#include "cli/json.hpp"
#include "cli/process.hpp"
#include "smtp/path.hpp"

namespace odmr::cli {

namespace {

using app::ProbeStep;
using app::With;

constexpr std::size_t k_long = 2000;

std::string line_of(const char* mark, const std::string& step, double seconds, const std::string& text) {
  return fmt::format("{:<5} {:<13} {:>8.3f} s  {}", mark, step, seconds, text);
}

const char* word_for(ProbeStep::Mark mark) {
  switch (mark) {
    case ProbeStep::Mark::ok:
      return "ok";
    case ProbeStep::Mark::warn:
      return "warn";
    case ProbeStep::Mark::failed:
      return "FAIL";
    case ProbeStep::Mark::skipped:
      return "skip";
  }
  return "";
}

const char* word_for(With part) {
  switch (part) {
    case With::provider:
      return "provider";
    case With::target:
      return "target";
    case With::smart_host:
      return "smart-host";
    case With::state:
      return "state";
  }
  return "";
}

void print_test_step(const app::TestStep& step, bool as_json) {
  if (as_json) {
    print_json({{"step", step.name}, {"good", step.is_good}, {"text", escape(step.text)}, {"seconds", step.seconds}});
  } else {
    print_line(stdout, line_of(step.is_good ? "ok" : "FAIL", step.name, step.seconds, escape(step.text, 400)));
  }
}

int refuse(int exit, const std::string& text) {
  print_line(stderr, "odmr: " + escape(text, k_long));
  return exit;
}

int send_test_mail(const ProbeOptions& options, const app::Settings& settings, Log& log) {
  if (!settings.outbound) {
    return refuse(exit_status(Outcome::config),
                  "the configuration has no [outbound] with a smart host to send through");
  }
  const std::function<void(const app::TestStep&)> on_step = [&](const app::TestStep& step) {
    if (!options.quiet || !step.is_good) print_test_step(step, options.json);
  };
  const auto result = app::send_test_mail(settings, options.test_mail, on_step, log);
  if (result.exit == 0 && !options.quiet && !options.json) {
    print_line(stdout, "the message was taken; whether it arrives, " + escape(options.test_mail) + " will see");
  }
  return result.exit;
}

// Prints steps as they come, each part under its heading.
class Printer {
 public:
  explicit Printer(const ProbeOptions& options) : options_(options) {}

  void print(const ProbeStep& step) {
    const bool is_well = step.mark == ProbeStep::Mark::ok;
    if (options_.quiet && is_well) return;
    if (options_.json) return print_line(stdout, as_json(step));
    const auto heading = heading_of(step);
    if (heading != heading_) print_line(stdout, heading);
    heading_ = heading;
    print_line(stdout, in_words(step));
  }

 private:
  const ProbeOptions& options_;
  std::string heading_;
};

int probe_all(const ProbeOptions& options, const app::Settings& settings, Log& log) {
  const auto unknown = app::unknown_providers(settings, options.providers);
  for (const auto& name : unknown)
    refuse(0, "no provider \"" + name + "\" in the configuration ([provider." + name + "])");
  if (!unknown.empty()) return k_exit_usage;
  for (const auto& doubt : app::doubts_about(settings)) log.warn(doubt);
  Printer printer(options);
  const app::OnProbeStep on_step = [&](const ProbeStep& step) { printer.print(step); };
  const Outcome outcome = app::probe(settings, options.providers, on_step, log);
  if (!options.quiet && !options.json) {
    const int status = exit_status(outcome);
    print_line(stdout, status == 0 ? std::string("all is well: a run would get as far as ATRN")
                                   : fmt::format("a run would end as {} ({})", name(outcome), status));
  }
  return exit_status(outcome);
}

}  // namespace

std::string heading_of(const ProbeStep& step) {
  switch (step.part) {
    case With::provider:
      return "provider " + escape(step.provider.value_or("")) + ", " + escape(step.where);
    case With::target:
      return "local target, " + escape(step.where);
    case With::smart_host:
      return "smart host, " + escape(step.where);
    case With::state:
      return "state directory, " + escape(step.where);
  }
  return {};
}

std::string in_words(const ProbeStep& step) {
  if (step.mark == ProbeStep::Mark::skipped) return "  skip  not tried: " + escape(step.step);
  const std::string line = "  " + line_of(word_for(step.mark), step.step, step.seconds, escape(step.text, k_long));
  return step.remedy.empty() ? line : line + "\n        What to do: " + escape(step.remedy, k_long);
}

std::string as_json(const ProbeStep& step) {
  const auto or_null = [](const std::string& text) {
    return text.empty() ? ordered_json(nullptr) : ordered_json(escape(text, k_long));
  };
  const std::string mark(word_for(step.mark));
  ordered_json out;
  out["part"] = word_for(step.part);
  out["provider"] = step.provider ? ordered_json(escape(*step.provider)) : ordered_json(nullptr);
  out["where"] = escape(step.where);
  out["step"] = step.step;
  out["result"] = step.mark == ProbeStep::Mark::failed ? "fail" : mark;
  out["good"] = step.mark == ProbeStep::Mark::ok || step.mark == ProbeStep::Mark::warn;
  out["text"] = escape(step.text, k_long);
  out["seconds"] = step.seconds;
  const bool is_failure = step.mark == ProbeStep::Mark::failed;
  out["outcome"] = is_failure ? ordered_json(name(step.outcome)) : ordered_json(nullptr);
  out["cause"] = is_failure && step.cause != Cause::unknown ? ordered_json(name(step.cause)) : ordered_json(nullptr);
  out["remedy"] = or_null(step.remedy);
  return out.dump(-1, ' ', true, ordered_json::error_handler_t::replace);
}

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
