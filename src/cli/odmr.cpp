// odmr: the customer's half of ODMR.

#include <fmt/format.h>
#include <unistd.h>

#include <sstream>

#include "app/doubts.hpp"
#include "app/remedy.hpp"
#include "app/run.hpp"
#include "app/sendmail_direct.hpp"
#include "app/submit.hpp"
#include "base/ascii.hpp"
#include "cli/common_options.hpp"
#include "cli/completion_tree.hpp"
#include "cli/explain_command.hpp"
#include "cli/journal_command.hpp"
#include "cli/probe_command.hpp"
#include "cli/process.hpp"
#include "cli/queue_command.hpp"
#include "cli/setup_command.hpp"
#include "cli/shown_run.hpp"
#include "cli/status_command.hpp"
#include "cli/watch_command.hpp"
#include "show/json.hpp"
#include "show/print.hpp"
#include "show/render.hpp"

namespace odmr::cli {

namespace {

struct Options : CommonOptions {
  app::RunOptions run;
};

int run(const Options& options) {
  const auto settings = app::load_settings(options.config);
  if (!settings) return report_faults(options, settings.error());
  if (!are_known(*settings, options.run.providers)) return k_exit_usage;
  if (options.run.send_only && !settings->outbound && !settings->command) {
    return report_faults(options, {"there is nothing to send with: the configuration has no [outbound]"});
  }
  return run_shown(options, *settings, options.run);
}

std::string describe(const app::ProviderSettings& provider) {
  std::string domains;
  for (const auto& domain : provider.domains) domains += (domains.empty() ? "" : ", ") + domain;
  std::string hosts = provider.endpoint.text();
  for (const auto& other : provider.alternatives) hosts += ", else " + other.text();
  return fmt::format("provider {}: {}, {} ({})", provider.name, hosts, show::counted(provider.domains.size(), "domain"),
                     domains);
}

std::string describe(const app::OutboundSettings& outbound) {
  if (outbound.to == app::OutboundSettings::To::provider)
    return "outbound: over the connection to " + outbound.provider;
  return "outbound: " + outbound.endpoint.text();
}

int check(const Options& options) {
  const auto settings = app::load_settings(options.config);
  const auto faults = settings ? std::vector<std::string>() : settings.error();
  if (options.json) {
    show::print_json({{"good", faults.empty()}, {"faults", faults}});
  } else {
    for (const auto& fault : faults) show::print_line(stdout, escape(fault, 2000));
  }
  if (!faults.empty()) return exit_status(Outcome::config);
  if (options.quiet || options.json) return 0;
  for (const auto& provider : settings->providers) show::print_line(stdout, describe(provider));
  if (settings->outbound) show::print_line(stdout, describe(*settings->outbound));
  for (const auto& doubt : app::doubts_about(*settings)) show::print_line(stdout, "note: " + escape(doubt));
  show::print_line(stdout, "the configuration is good");
  return 0;
}

// --- the command line

CLI::App* add_run(CLI::App& program, app::RunOptions& options) {
  auto* run = program.add_subcommand("run", "fetch all mail that is waiting and send what is due, once");
  run->add_option("PROVIDER", options.providers, "names of [provider.NAME] in the configuration; default: all");
  auto* receive_only = run->add_flag("--receive-only", options.receive_only, "only fetch, send nothing");
  auto* send_only = run->add_flag("--send-only", options.send_only, "only send, fetch nothing")->excludes(receive_only);
  run->add_flag("--retry-all", options.retry_all, "send also what is not due yet")->excludes(receive_only);
  run->add_flag("--force", options.force, "ask also a provider that refused us a moment ago");
  (void)send_only;
  return run;
}

CLI::App* add_watch(CLI::App& program, app::WatchOptions& options) {
  auto* watch = program.add_subcommand("watch", "stay, and do so again and again, until SIGTERM");
  watch->add_option("PROVIDER", options.providers, "names of [provider.NAME] in the configuration; default: all");
  watch->add_flag("--force", options.force, "at first, ask also a provider that refused us a moment ago");
  return watch;
}

CLI::App* add_queue(CLI::App& program, QueueOptions& options) {
  using Action = QueueOptions::Action;
  auto* queue = program.add_subcommand("queue", "look at the outbound queue, and work on it");
  queue->require_subcommand(0, 1);
  queue->fallthrough();
  queue->add_flag("--kept", options.kept, "received mail that is kept for the local target, in place of the queue");
  const auto add = [&](const char* name, Action action, const char* text) {
    auto* command = queue->add_subcommand(name, text)->fallthrough();
    command->callback([&options, action] { options.action = action; });
    return command;
  };
  // What `mailq` becomes; there is one look.
  add("list", Action::list, "list it (the default)")->add_flag("--mailq")->group("");
  auto* show = add("show", Action::show, "show a message's envelope and what became of it");
  show->add_flag("--message", options.message, "write the message itself, as it is");
  std::vector<CLI::App*> by_id{show};
  by_id.push_back(add("retry", Action::retry, "make messages due now: the next run tries them"));
  by_id.push_back(add("hold", Action::hold, "keep messages from being sent"));
  by_id.push_back(add("release", Action::release, "let held messages go on"));
  by_id.push_back(add("remove", Action::remove, "remove messages for good, without a bounce"));
  for (auto* command : by_id) {
    auto* ids = command->add_option("ID", options.ids, "as listed");
    auto* all = command->add_flag("--all", options.all, "every message of the queue")->excludes(ids);
    (void)all;
  }
  return queue;
}

// A script's variable that is not set asks for something all the same.
std::string needs_a_value(const std::string& value) {
  return value.empty() ? "nothing is given" : std::string();
}

CLI::App* add_status(CLI::App& program, StatusOptions& options) {
  auto* status = program.add_subcommand("status", "show how it stands with each provider, or what a session did");
  auto* session = status->add_option("--session", options.session, "what came in it: its id, or enough of it");
  session->type_name("ID")->check(needs_a_value);
  auto* max_age = status->add_option("--max-age", options.max_age, "exit 75 when the last good session is older");
  max_age->type_name("DURATION")->excludes(session)->check(needs_a_value);
  auto* metrics = status->add_option("--metrics", options.metrics, "write it for Prometheus to FILE; \"-\" is stdout");
  metrics->type_name("FILE")->excludes(session)->check(needs_a_value);
  return status;
}

CLI::App* add_journal(CLI::App& program, JournalOptions& options) {
  using Action = JournalOptions::Action;
  auto* journal = program.add_subcommand("journal", "look at what may be offered again, and work on it");
  journal->require_subcommand(0, 1);
  journal->fallthrough();
  const auto add = [&](const char* name, Action action, const char* text) {
    auto* command = journal->add_subcommand(name, text)->fallthrough();
    command->callback([&options, action] { options.action = action; });
    return command;
  };
  auto* list = add("list", Action::list, "list who has which message (the default)");
  list->add_option("--provider", options.provider, "of this provider alone")->type_name("NAME");
  add("show", Action::show, "show entries in full")->add_option("ID", options.ids, "as listed")->required();
  auto* forget = add("forget", Action::forget, "forget entries: what is offered again is delivered again");
  auto* ids = forget->add_option("ID", options.ids, "as listed");
  auto* provider = forget->add_option("--provider", options.provider, "every entry of this provider")->excludes(ids);
  provider->type_name("NAME");
  forget->add_flag("--all", options.all, "every entry")->excludes(ids)->excludes(provider);
  return journal;
}

CLI::App* add_probe(CLI::App& program, ProbeOptions& options) {
  auto* probe = program.add_subcommand("probe", "try each step of a run but ATRN, and say what to change");
  auto* providers = probe->add_option("PROVIDER", options.providers, "names of [provider.NAME]; default: all");
  auto* test_mail = probe->add_option("--test-mail", options.test_mail, "send this address one message, instead");
  test_mail->type_name("ADDRESS")->excludes(providers);
  return probe;
}

CLI::App* add_setup(CLI::App& program, SetupOptions& options) {
  auto* setup = program.add_subcommand("setup", "ask six questions, write a configuration, and try it");
  setup->add_flag("--non-interactive", options.is_non_interactive,
                  "ask nothing: the options are the answers, and the password is standard input's first line");
  setup->add_option("--provider", options.provider, "the host that holds the mail")->type_name("HOST[:PORT]");
  setup->add_option("--domain", options.domains, "what it holds mail for; may be given several times")
      ->type_name("DOMAIN");
  setup->add_option("--user", options.user, "of the login; default: the first domain")->type_name("USER");
  setup->add_option("--password-file", options.password_file, "a file that has the password already")
      ->type_name("FILE");
  setup->add_option("--deliver", options.deliver, "where received mail goes; default: the mail server that is found")
      ->type_name("TARGET");
  auto* smart_host = setup->add_option("--smart-host", options.smart_host, "where mail is sent; or provider, or none");
  smart_host->type_name("HOST[:PORT]");
  setup->add_flag("--smart-host-without-login", options.smart_host_without_login,
                  "it takes mail without the provider's user and password");
  setup->add_option("--interval", options.interval, "how often; default: 5m")->type_name("DURATION");
  setup->add_option("--name", options.name, "of [provider.NAME]; default: isp")->type_name("NAME");
  setup->add_option("--tls", options.tls, "as in odmr.toml(5); default: starttls")
      ->check(CLI::IsMember({"starttls", "implicit", "if-available", "none"}))
      ->type_name("WORD");
  setup->add_option("--ca-file", options.ca_file, "who has signed the provider's certificate")->type_name("FILE");
  setup->add_option("--pin", options.pins, "the provider's key, as probe prints it")->type_name("PIN");
  setup->add_option("--hostname", options.hostname, "our name to others; default: this host's")->type_name("NAME");
  setup->add_option("--state-dir", options.state_dir, "in place of the default one")->type_name("DIR");
  auto* rc = setup->add_option("--from-fetchmailrc", options.fetchmailrc, "take over what fetchmail's file says");
  rc->type_name("FILE");
  setup->add_option("--entry", options.entry, "only its entries of this host or user")->type_name("NAME");
  setup->add_flag("--force", options.may_replace, "replace a configuration that is there; it is kept as .bak");
  setup->add_flag("--no-probe", options.probes_not, "connect to nothing");
  return setup;
}

CLI::App* add_explain(CLI::App& program, ExplainOptions& options) {
  auto* explain = program.add_subcommand("explain", "say what a stored trace (run -vv) tells, and what to change");
  explain->add_option("TRANSCRIPT", options.transcript, "a file, or - for standard input")->required();
  return explain;
}

// The front (front.cpp) leaves to us what needs a network.
int sendmail(const app::SendmailCall& call) {
  const auto refuse = [&](int exit, const std::string& text) {
    show::print_line(stderr, call.name + ": " + escape(text, 2000));
    return exit;
  };
  const auto options = app::parse_sendmail(call.arguments, call.start);
  if (!options || !options->direct)
    return refuse(k_exit_usage, options ? "not without --direct" : options.error().text);
  const auto settings = app::load_settings(options->config);
  if (!settings) return refuse(exit_status(Outcome::config), settings.error().front());
  const auto log = make_stderr_log(settings->log.level.value_or(Level::warn), settings->log.format);
  const auto sent = app::sendmail_direct(*options, *settings, STDIN_FILENO, std::chrono::system_clock::now(), *log);
  return sent ? 0 : refuse(sent.error().exit, sent.error().text);
}

struct SubmitOptions : CommonOptions {
  app::SubmitRunOptions run;
};

int submit(const SubmitOptions& options) {
  const auto settings = app::load_settings(options.config);
  if (!settings) return report_faults({}, settings.error());
  // Beside a session on stdout only what is wrong is worth a line.
  const Level otherwise = options.run.stdio ? Level::warn : Level::info;
  const auto log = make_stderr_log(log_level(options, settings->log.level.value_or(otherwise)), settings->log.format);
  const auto say = [](const std::string& address) {
    show::print_line(stdout, "listening on " + address);
    std::fflush(stdout);
  };
  return app::submit(*settings, options.run, say, *log);
}

CLI::App* add_submit(CLI::App& program, app::SubmitRunOptions& options) {
  auto* submit = program.add_subcommand("submit", "take mail from local programs by SMTP, until SIGTERM");
  submit->add_flag("--direct", options.direct, "store nothing: the smart host's answer is the caller's");
  submit->add_flag("--stdio", options.stdio, "one session on standard input and output");
  return submit;
}

// "-t", "-oi", "--direct": of sendmail's help, which has a parser of its own.
std::vector<std::string> options_in(const std::string& help) {
  std::vector<std::string> found;
  std::istringstream words(help);
  for (std::string word; words >> word;) {
    while (!word.empty() && (word.back() == ',' || word.back() == '.')) word.pop_back();
    if (word.size() > 1 && word.front() == '-' && word != "--") found.push_back(word);
  }
  return found;
}

// Prints a shell's script, or what such a script asks for.
int complete(const CLI::App& program, const CommonOptions& options, const std::string& what) {
  if (what == "providers") {
    const auto settings = app::load_settings(options.config);
    if (!settings) return exit_status(Outcome::config);
    for (const auto& provider : settings->providers) show::print_line(stdout, provider.name);
    return 0;
  }
  auto tree = completion_tree(program);
  auto* sendmail = command_at(tree, {"sendmail"});
  sendmail->options.clear();
  sendmail->words = options_in(app::sendmail_help("sendmail"));
  return print_completion("odmr", tree, what);
}

int main(int argc, char** argv) {
  if (const auto call = app::sendmail_call({argv, argv + argc})) return sendmail(*call);
  CLI::App program("Brings home the mail that a provider holds for this server, by ODMR (RFC 2645), and sends its own.",
                   "odmr");
  Options options;
  QueueOptions queue_options;
  ProbeOptions probe_options;
  ExplainOptions explain_options;
  SubmitOptions submit_options;
  StatusOptions status_options;
  JournalOptions journal_options;
  SetupOptions setup_options;
  add_common(program, options);

  WatchCommandOptions watch_options;
  add_run(program, options.run);
  auto* watch = add_watch(program, watch_options.watch);
  auto* check_command = program.add_subcommand("check", "find every fault in the configuration; connects to nothing");
  auto* queue = add_queue(program, queue_options);
  auto* status = add_status(program, status_options);
  auto* journal = add_journal(program, journal_options);
  auto* probe = add_probe(program, probe_options);
  auto* explain = add_explain(program, explain_options);
  auto* setup = add_setup(program, setup_options);
  auto* submit_command = add_submit(program, submit_options.run);
  program.add_subcommand("sendmail", "take a message from standard input, as sendmail(1) does");
  std::string completion;
  add_completion(program, completion);
  program.footer("See odmr(1) and odmr.toml(5).");

  if (const auto exit = parse(program, argc, argv)) return *exit;
  if (!completion.empty()) return as_printed("odmr", complete(program, options, completion));
  if (queue->parsed()) {
    static_cast<CommonOptions&>(queue_options) = options;
    if (queue_options.action != QueueOptions::Action::list && queue_options.ids.empty() && !queue_options.all) {
      show::print_line(stderr, "odmr: name the messages by their ID (as \"odmr queue\" lists them), or say --all");
      return k_exit_usage;
    }
    return as_printed("odmr", queue_command(queue_options));
  }
  if (status->parsed()) {
    static_cast<CommonOptions&>(status_options) = options;
    return as_printed("odmr", status_command(status_options));
  }
  if (journal->parsed()) {
    static_cast<CommonOptions&>(journal_options) = options;
    const bool names_none = journal_options.ids.empty() && journal_options.provider.empty() && !journal_options.all;
    if (journal_options.action == JournalOptions::Action::forget && names_none) {
      show::print_line(stderr,
                       "odmr: name the entries by their ID (as \"odmr journal\" lists them), or say --provider or "
                       "--all");
      return k_exit_usage;
    }
    return as_printed("odmr", journal_command(journal_options));
  }
  if (probe->parsed()) {
    static_cast<CommonOptions&>(probe_options) = options;
    return as_printed("odmr", probe_command(probe_options));
  }
  if (setup->parsed()) {
    static_cast<CommonOptions&>(setup_options) = options;
    return setup_command(setup_options);
  }
  if (watch->parsed()) {
    static_cast<CommonOptions&>(watch_options) = options;
    return watch_command(watch_options);
  }
  if (explain->parsed()) {
    static_cast<CommonOptions&>(explain_options) = options;
    return as_printed("odmr", explain_command(explain_options));
  }
  if (submit_command->parsed()) {
    static_cast<CommonOptions&>(submit_options) = options;
    return submit(submit_options);
  }
  return check_command->parsed() ? as_printed("odmr", check(options)) : run(options);
}

}  // namespace

}  // namespace odmr::cli

int main(int argc, char** argv) {
  odmr::cli::prepare_process();
  odmr::cli::leave(odmr::cli::guarded("odmr", odmr::cli::main, argc, argv));
}
