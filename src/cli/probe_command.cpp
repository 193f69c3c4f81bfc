#include "cli/probe_command.hpp"

#include <fmt/format.h>

#include "app/test_mail.hpp"
#include "base/ascii.hpp"
#include "cli/json.hpp"
#include "cli/process.hpp"
#include "smtp/path.hpp"

namespace odmr::cli {

namespace {

void print_step(const app::TestStep& step, bool as_json) {
  if (as_json) {
    print_json({{"step", step.name}, {"good", step.is_good}, {"text", escape(step.text)}, {"seconds", step.seconds}});
  } else {
    print_line(stdout, fmt::format("{:<6} {:<13} {:>8.3f} s  {}", step.is_good ? "ok" : "FAILED", step.name,
                                   step.seconds, escape(step.text, 400)));
  }
  std::fflush(stdout);
}

int refuse(int exit, const std::string& text) {
  print_line(stderr, "odmr: " + escape(text, 2000));
  return exit;
}

}  // namespace

int probe_command(const ProbeOptions& options) {
  if (!smtp::parse_mailbox(options.test_mail)) {
    return refuse(k_exit_usage, "\"" + options.test_mail + "\" is no address");
  }
  const auto settings = app::load_settings(options.config);
  if (!settings) {
    for (const auto& fault : settings.error()) refuse(0, fault);
    return exit_status(Outcome::config);
  }
  if (!settings->outbound) {
    return refuse(exit_status(Outcome::config),
                  "the configuration has no [outbound] with a smart host to send through");
  }
  const auto log = make_stderr_log(log_level(options, Level::warn), settings->log.format);
  const std::function<void(const app::TestStep&)> on_step = [&](const app::TestStep& step) {
    if (!options.quiet || !step.is_good) print_step(step, options.json);
  };
  const auto result = app::send_test_mail(*settings, options.test_mail, on_step, *log);
  if (result.exit == 0 && !options.quiet && !options.json) {
    print_line(stdout, "the message was taken; whether it arrives, " + escape(options.test_mail) + " will see");
  }
  return result.exit;
}

}  // namespace odmr::cli
