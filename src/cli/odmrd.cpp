// odmrd: the provider's half of ODMR.

#include <fmt/format.h>
#include <unistd.h>

#include <map>

#include "app/enqueue.hpp"
#include "app/held.hpp"
#include "app/run_as.hpp"
#include "app/serve.hpp"
#include "base/ascii.hpp"
#include "base/outcome.hpp"
#include "cli/common_options.hpp"
#include "cli/completion_tree.hpp"
#include "cli/customer_command.hpp"
#include "cli/process.hpp"
#include "show/daemon_text.hpp"
#include "show/json.hpp"
#include "show/print.hpp"
#include "show/render.hpp"
#include "show/status_page.hpp"
#include "show/terminal.hpp"
#include "show/wrapped.hpp"

namespace odmr::cli {

namespace {

constexpr int k_no_input = 66;  // EX_NOINPUT: no such message

struct Options : CommonOptions {
  std::string sender;
  std::vector<std::string> recipients;
  bool bounces = false;
  bool failed = false;
  bool message = false;
  bool metrics = false;
  std::vector<std::string> ids;
};

void complain(const std::string& text) {
  show::print_line(stderr, "odmrd: " + escape(text, 2000));
}

int spool_failure(const Error& error) {
  complain(error.text);
  return error.code == Errc::not_found ? k_no_input : exit_status(Outcome::state);
}

int report_faults(const std::vector<std::string>& faults) {
  for (const auto& fault : faults) complain(fault);
  return exit_status(Outcome::config);
}

// --- check

// Whose mail is taken for a customer: a list that names nobody, or one that is missing, bounces all of it, or none.
std::string about_recipients(const provider::Customer& customer) {
  const std::string own = customer.uploads_recipients ? "those that it tells by itself" : "";
  if (!customer.recipients) return own.empty() ? "any recipient" : own;
  const std::string listed = fmt::format("{} listed", customer.recipients->size());
  return own.empty() ? listed : listed + ", and " + own;
}

int check(const Options& options) {
  const auto settings = app::load_daemon_settings(options.config, app::Depth::files);
  const auto faults = settings ? std::vector<std::string>() : settings.error();
  if (options.json) {
    show::print_json({{"good", faults.empty()}, {"faults", faults}});
  } else {
    for (const auto& fault : faults) show::print_line(stdout, escape(fault, 2000));
  }
  if (!faults.empty()) return exit_status(Outcome::config);
  if (options.quiet || options.json) return 0;
  for (const auto& one : settings->customers) {
    std::string domains;
    for (const auto& domain : one.customer.domains) domains += (domains.empty() ? "" : ", ") + domain;
    show::print_line(stdout, fmt::format("customer {}: {}; recipients: {}", escape(one.customer.name), domains,
                                         about_recipients(one.customer)));
  }
  show::print_line(stdout, "the configuration is good");
  return 0;
}

// --- serve

int serve(const Options& options) {
  const auto settings = app::load_daemon_settings(options.config, app::Depth::files);
  if (!settings) return report_faults(settings.error());
  const auto log = make_stderr_log(log_level(options, settings->log.level.value_or(Level::info)), settings->log.format);
  const auto say = [](const std::string& address) {
    show::print_line(stdout, "listening on " + address);
    std::fflush(stdout);
  };
  const auto read_again = [&options] { return app::load_daemon_settings(options.config, app::Depth::files); };
  const app::StatusPages pages{[](const app::DaemonStatus& status) { return show::status_page(status, ODMR_VERSION); },
                               show::status_page_policy(),
                               [](const app::DaemonStatus& status) { return show::metrics(status, ODMR_VERSION); }};
  return app::serve(*settings, read_again, pages, say, *log);
}

// --- status

int status(const Options& options) {
  const auto settings = app::load_daemon_settings(options.config, app::Depth::keys);
  if (!settings) return report_faults(settings.error());
  if (const auto done = app::become_user_of(settings->spool, settings->run_as); !done)
    return spool_failure(done.error());
  const auto now = app::daemon_status_of(*settings, std::chrono::system_clock::now());
  if (!now) return spool_failure(now.error());
  if (options.metrics) {
    static_cast<void>(std::fputs(show::metrics(*now, ODMR_VERSION).c_str(), stdout));
  } else if (options.json) {
    for (const auto& one : now->customers) show::print_json(show::as_json(one));
    show::print_json(show::overall_json(*now));
  } else if (!options.quiet) {
    for (const auto& line : show::in_words(*now, show::speaks_utf8())) show::print_wrapped(stdout, line, 2);
  }
  return 0;
}

// --- enqueue

int enqueue(const Options& options) {
  const auto settings = app::load_daemon_settings(options.config, app::Depth::keys);
  if (!settings) return report_faults(settings.error());
  if (const auto done = app::become_user_of(settings->spool, settings->run_as); !done) {
    complain(done.error().text);
    return exit_status(Outcome::unavailable);
  }
  const auto enqueued =
      app::enqueue(*settings, options.sender, options.recipients, STDIN_FILENO, std::chrono::system_clock::now());
  if (!enqueued) {
    complain(enqueued.error().text);
    return enqueued.error().exit;
  }
  for (const auto& one : *enqueued) {
    if (options.json) {
      show::print_json({{"id", one.id}, {"customer", one.customer}, {"recipients", one.recipients}});
    } else if (options.verbose > 0) {
      show::print_line(stdout, one.id);
    }
  }
  return 0;
}

// --- spool

provider::Folder folder(const Options& options) {
  if (options.bounces) return provider::Folder::bounces;
  return options.failed ? provider::Folder::failed : provider::Folder::held;
}

show::ordered_json as_json(const app::HeldMessage& message) {
  show::ordered_json recipients = show::ordered_json::array();
  for (const auto& one : message.recipients) {
    recipients.push_back({{"address", one.address}, {"domain", one.domain}, {"done", one.is_done}});
    if (!one.reply.empty()) recipients.back()["reply"] = one.reply;
  }
  return {{"id", message.id},
          {"arrival", show::time_text(message.arrival)},
          {"bytes", message.size},
          {"from", message.reverse_path},
          {"attributes", message.attributes},
          {"recipients", recipients}};
}

// A message stands under each domain it waits for.
void print_by_domain(const std::vector<app::HeldMessage>& messages) {
  std::map<std::string, std::vector<std::string>> lines;
  for (const auto& message : messages) {
    std::map<std::string, std::string> recipients;
    for (const auto& one : message.recipients) {
      if (!one.is_done) recipients[one.domain] += " " + escape(one.address);
    }
    for (const auto& [domain, addresses] : recipients) {
      lines[domain].push_back(fmt::format("  {}  {}  {:>10}  <{}> to{}", message.id, show::time_text(message.arrival),
                                          show::human_size(message.size), escape(message.reverse_path), addresses));
    }
  }
  for (const auto& [domain, held] : lines) {
    show::print_line(stdout, fmt::format("{}: {}", escape(domain), show::counted(held.size(), "message")));
    for (const auto& line : held) show::print_line(stdout, line);
  }
}

int list(const Options& options, const std::string& spool) {
  const auto listed = app::list_held(spool, folder(options));
  if (!listed) return spool_failure(listed.error());
  if (options.json) {
    for (const auto& message : listed->messages) show::print_json(as_json(message));
  } else {
    print_by_domain(listed->messages);
    if (listed->messages.empty() && !options.quiet) show::print_line(stdout, "nothing is held");
  }
  for (const auto& line : listed->unreadable) complain(line);
  return 0;
}

void print_message(const app::HeldMessage& message) {
  show::print_line(stdout, "id:      " + message.id);
  show::print_line(stdout, "arrival: " + show::time_text(message.arrival));
  show::print_line(stdout, "size:    " + show::counted(message.size, "byte"));
  show::print_line(stdout, "from:    <" + escape(message.reverse_path) + ">");
  for (const auto& [name, value] : message.attributes) show::print_line(stdout, escape(name) + ": " + escape(value));
  for (const auto& one : message.recipients) {
    const std::string state = !one.reply.empty() ? ": " + escape(one.reply) : one.is_done ? " (done)" : "";
    show::print_line(stdout, "to:      <" + escape(one.address) + ">" + state);
  }
}

int show(const Options& options, const std::string& spool) {
  for (const auto& id : options.ids) {
    const auto message = app::show_held(spool, folder(options), id, [&](std::string_view bytes) {
      if (options.message) std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    });
    if (!message) return spool_failure(message.error());
    if (options.message) continue;
    if (options.json)
      show::print_json(as_json(*message));
    else
      print_message(*message);
  }
  return 0;
}

int remove(const Options& options, const std::string& spool) {
  int status = 0;
  for (const auto& id : options.ids) {
    const auto removed = app::remove_held(spool, folder(options), id);
    if (!removed) status = spool_failure(removed.error());
  }
  return status;
}

using SpoolCommand = int (*)(const Options& options, const std::string& spool);

int on_spool(const Options& options, SpoolCommand command) {
  const auto settings = app::load_daemon_settings(options.config, app::Depth::keys);
  if (!settings) return report_faults(settings.error());
  if (const auto done = app::become_user_of(settings->spool, settings->run_as); !done)
    return spool_failure(done.error());
  return command(options, settings->spool);
}

// --- the command line

struct SpoolCommands {
  CLI::App* spool;
  CLI::App* show;
  CLI::App* remove;
};

SpoolCommands add_spool(CLI::App& program, Options& options) {
  auto* spool = program.add_subcommand("spool", "look at the mail that is held, by domain");
  spool->require_subcommand(0, 1);
  spool->fallthrough();
  auto* bounces =
      spool->add_flag("--bounces", options.bounces, "instead, mail refused for good, its sender to be told");
  spool->add_flag("--failed", options.failed, "instead, mail refused for good that has no sender")->excludes(bounces);
  spool->add_subcommand("list", "list it (the default)")->fallthrough();
  auto* show = spool->add_subcommand("show", "show a message's envelope")->fallthrough();
  show->add_option("ID", options.ids, "as listed")->required();
  show->add_flag("--message", options.message, "write the message itself, as it is");
  auto* remove = spool->add_subcommand("remove", "remove messages for good")->fallthrough();
  remove->add_option("ID", options.ids, "as listed")->required();
  return {spool, show, remove};
}

int main(int argc, char** argv) {
  CLI::App program("Holds mail for servers without a fixed address, until they fetch it by ODMR (RFC 2645).", "odmrd");
  Options options;
  add_common(program, options);

  auto* serve_command = program.add_subcommand("serve", "serve customers, until SIGTERM");
  auto* check_command = program.add_subcommand("check", "find every fault in the configuration; serves nobody");
  auto* enqueue_command = program.add_subcommand("enqueue", "take one message from standard input");
  enqueue_command->add_option("-f,--from", options.sender, "its reverse-path; \"\" or \"<>\" for the null one")
      ->type_name("SENDER")
      ->required();
  enqueue_command->add_option("RCPT", options.recipients, "its recipients")->required();
  const auto spool = add_spool(program, options);
  auto* status_command = program.add_subcommand("status", "how it stands: customers, held mail, calls, what is wrong");
  status_command->add_flag("--metrics", options.metrics, "instead, in the text format of Prometheus");
  CustomerOptions customer;
  const auto customer_commands = add_customer_commands(program, customer);
  std::string completion;
  add_completion(program, completion);
  program.footer("See odmrd(8) and odmrd.toml(5).");

  if (const auto exit = parse(program, argc, argv)) return *exit;
  if (!completion.empty()) return as_printed("odmrd", print_completion("odmrd", completion_tree(program), completion));
  if (serve_command->parsed()) return serve(options);
  if (check_command->parsed()) return as_printed("odmrd", check(options));
  if (enqueue_command->parsed()) return enqueue(options);
  if (status_command->parsed()) return as_printed("odmrd", status(options));
  if (customer_commands.customer->parsed())
    return as_printed("odmrd", customer_command(options, customer, customer_commands));
  const SpoolCommand command = spool.show->parsed() ? show : spool.remove->parsed() ? remove : list;
  return as_printed("odmrd", on_spool(options, command));
}

}  // namespace

}  // namespace odmr::cli

int main(int argc, char** argv) {
  odmr::cli::prepare_process();
  odmr::cli::leave(odmr::cli::guarded("odmrd", odmr::cli::main, argc, argv));
}
