#include "cli/customer_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "app/held.hpp"
#include "app/run_as.hpp"
#include "app/setup.hpp"
#include "base/ascii.hpp"
#include "base/outcome.hpp"
#include "config/secret.hpp"
#include "show/json.hpp"
#include "show/print.hpp"
#include "show/render.hpp"

namespace odmr::cli {

namespace {

using app::Kept;

constexpr int k_usage = 64;
constexpr std::size_t k_long = 2000;
constexpr const char* k_reload = "Have the daemon read it: systemctl reload odmrd (or SIGHUP)";

void complain(const std::string& text) {
  show::print_line(stderr, "odmrd: " + escape(text, k_long));
}

int tell(const app::CustomerFailure& failure) {
  for (const auto& reason : failure.reasons) complain(reason);
  return failure.exit;
}

// --- the password

// From the file or standard input; made where neither is named.
Result<Secret> password_of(const CustomerOptions& options) {
  if (!options.password_file.empty())
    return config::load(config::SecretSource{config::SecretSource::File{options.password_file}});
  if (!options.password_stdin) return app::new_password();
  std::string line;
  std::getline(std::cin, line);
  if (line.ends_with('\r')) line.pop_back();
  Secret secret(line);
  wipe(line);
  if (secret.empty())
    return fail(Errc::malformed, "the first line of standard input is empty: the password belongs there");
  return secret;
}

bool is_made_here(const CustomerOptions& options) {
  return options.password_file.empty() && !options.password_stdin;
}

std::string word_for(Kept kept) {
  return kept == Kept::password ? "password" : "scram_verifier";
}

// --- what to do then

std::string port_of(const app::DaemonSettings& settings) {
  if (settings.listeners.empty()) return {};
  const std::string& address = settings.listeners.front().address;
  const auto colon = address.rfind(':');
  return colon == std::string::npos ? std::string() : address.substr(colon + 1);
}

// For the customer's odmr.toml.
std::vector<std::string> lines_for_odmr(const app::DaemonSettings& settings, const provider::Customer& customer) {
  std::vector<std::string> lines{"[provider.isp]", "host = " + app::toml_string(settings.session.hostname)};
  if (const auto port = port_of(settings); port != "366" && port != "0" && !port.empty())
    lines.push_back("port = " + port);
  if (!settings.listeners.empty() && settings.listeners.front().tls == provider::DoorTls::implicit)
    lines.emplace_back("tls = \"implicit\"");
  if (!settings.listeners.empty() && settings.listeners.front().tls == provider::DoorTls::none)
    lines.emplace_back("tls = \"none\"");
  lines.push_back("user = " + app::toml_string(customer.user));
  lines.emplace_back("password_file = \"/etc/odmr/isp.secret\"");
  std::string domains;
  for (const auto& one : customer.domains) domains += (domains.empty() ? "" : ", ") + app::toml_string(one);
  lines.push_back("domains = [" + domains + "]");
  return lines;
}

const app::CustomerSettings& customer_in(const app::DaemonSettings& settings, const std::string& name) {
  return *std::find_if(settings.customers.begin(), settings.customers.end(),
                       [&](const app::CustomerSettings& one) { return one.customer.name == name; });
}

std::string joined(const provider::Domains& domains) {
  std::string out;
  for (const auto& one : domains) out += (out.empty() ? "" : ", ") + one;
  return out;
}

show::ordered_json as_json(const provider::Customer& customer, const std::string& login, const std::string& file) {
  return {{"customer", customer.name},
          {"user", customer.user},
          {"domains", customer.domains},
          {"login", login},
          {"file", file}};
}

// A password that was made here is shown this once.
void show_password(const CommonOptions& common, const CustomerOptions& options, const Secret& password) {
  if (!is_made_here(options)) return;
  show::print_line(stdout, common.quiet ? password.text() : "password: " + password.text());
}

void print_json(const CustomerOptions& options, const app::CustomerWritten& written, const std::string& name,
                const Secret& password) {
  auto object = as_json(customer_in(written.settings, name).customer, word_for(written.kept), written.file);
  object["password"] = is_made_here(options) ? show::ordered_json(password.text()) : show::ordered_json(nullptr);
  show::print_json(object);
}

// --- the commands

int add(const CommonOptions& common, const CustomerOptions& options) {
  const auto password = password_of(options);
  if (!password) return complain(password.error().text), k_usage;
  app::NewCustomer customer = options.added;
  customer.name = options.names.front();
  customer.kept = options.cram_md5 ? Kept::password : Kept::verifier;
  const auto written = app::add_customer(app::daemon_configuration(common.config), customer, *password);
  if (!written) return tell(written.error());
  if (common.json) return print_json(options, *written, customer.name, *password), 0;
  const auto& added = customer_in(written->settings, customer.name).customer;
  if (!common.quiet) show::print_line(stdout, "customer " + added.name + ": " + joined(added.domains));
  show_password(common, options, *password);
  if (common.quiet) return 0;
  if (is_made_here(options) && written->kept == Kept::verifier)
    show::print_line(stdout, "It is shown this once, and not kept: only a verifier is, by which nobody can log in.");
  show::print_line(stdout, "");
  show::print_line(stdout, k_reload);
  show::print_line(stdout, "For the customer's odmr.toml, with the password in the file that it names (mode 0600):");
  show::print_line(stdout, "");
  for (const auto& line : lines_for_odmr(written->settings, added)) show::print_line(stdout, "    " + line);
  return 0;
}

int change(const CommonOptions& common, const CustomerOptions& options) {
  const auto password = password_of(options);
  if (!password) return complain(password.error().text), k_usage;
  std::optional<Kept> kept;
  if (options.cram_md5) kept = Kept::password;
  if (options.scram) kept = Kept::verifier;
  const auto& name = options.names.front();
  const auto written = app::change_password(app::daemon_configuration(common.config), name, *password, kept);
  if (!written) return tell(written.error());
  if (common.json) return print_json(options, *written, name, *password), 0;
  show_password(common, options, *password);
  if (!common.quiet) show::print_line(stdout, k_reload);
  return 0;
}

// Mail for domains that are nobody's any more waits for ever.
void tell_held(const app::DaemonSettings& settings, const provider::Customer& customer) {
  const auto held = app::list_held(settings.spool, provider::Folder::held);
  if (!held) return;
  const auto count = std::count_if(held->messages.begin(), held->messages.end(), [&](const app::HeldMessage& message) {
    return std::any_of(message.recipients.begin(), message.recipients.end(),
                       [&](const auto& one) { return !one.is_done && customer.domains.contains(one.domain); });
  });
  if (count == 0) return;
  complain(fmt::format("{} for {} {} still held; odmrd spool lists and removes",
                       show::counted(static_cast<std::uint64_t>(count), "message"), joined(customer.domains),
                       count == 1 ? "is" : "are"));
}

int remove(const CommonOptions& common, const CustomerOptions& options) {
  for (const auto& name : options.names) {
    const auto removed = app::remove_customer(app::daemon_configuration(common.config), name);
    if (!removed) return tell(removed.error());
    tell_held(removed->settings, customer_in(removed->settings, name).customer);
  }
  if (!common.quiet && !common.json) show::print_line(stdout, k_reload);
  return 0;
}

std::string login_of(const app::CustomerSettings& settings) {
  if (settings.verifier) return "scram_verifier";
  return settings.password ? "password" : "certificate";
}

int list(const CommonOptions& common) {
  const auto settings = app::load_daemon_settings(common.config, app::Depth::keys);
  if (!settings) return tell({exit_status(Outcome::config), settings.error()});
  for (const auto& one : settings->customers) {
    const auto login = login_of(one);
    if (common.json) {
      auto object = as_json(one.customer, login, one.file);
      object["kept"] = app::is_kept_in_directory(*settings, one);
      show::print_json(object);
      continue;
    }
    const std::string by = login == "scram_verifier" ? "verifier" : login;
    show::print_line(
        stdout, fmt::format("{}: {}; user {}, by {}, in {}", escape(one.customer.name), joined(one.customer.domains),
                            escape(one.customer.user), by, escape(one.file)));
  }
  if (settings->customers.empty() && !common.quiet && !common.json) show::print_line(stdout, "there is no customer");
  return 0;
}

void add_password_options(CLI::App& command, CustomerOptions& options) {
  auto* file =
      command.add_option("--password-file", options.password_file, "its first line is the password")->type_name("FILE");
  command.add_flag("--password-stdin", options.password_stdin, "the first line of standard input is; else one is made")
      ->excludes(file);
}

}  // namespace

CustomerCommands add_customer_commands(CLI::App& program, CustomerOptions& options) {
  auto* customer = program.add_subcommand("customer", "add, list and remove customers");
  customer->require_subcommand(0, 1);
  customer->fallthrough();
  auto* add = customer->add_subcommand("add", "add one, in a file of its own")->fallthrough();
  add->add_option("NAME", options.names, "its name, for people")->required()->expected(1);
  add->add_option("--domain", options.added.domains, "a domain whose mail is held for it; may be given again")
      ->type_name("DOMAIN")
      ->allow_extra_args(false)
      ->required();
  add->add_option("--user", options.added.user, "its login; else its first domain")->type_name("USER");
  add->add_option("--recipient", options.added.recipients, "who there is in its domains; else everybody")
      ->type_name("RCPT")
      ->allow_extra_args(false);
  add->add_option("--quota", options.added.quota, "so much is held for it, such as 1GiB")->type_name("SIZE");
  add_password_options(*add, options);
  add->add_flag("--cram-md5", options.cram_md5, "keep the password itself, which CRAM-MD5 needs");
  customer->add_subcommand("list", "list them (the default)")->fallthrough();
  auto* remove = customer->add_subcommand("remove", "remove one that was added so")->fallthrough();
  remove->add_option("NAME", options.names, "as listed")->required();
  auto* password = customer->add_subcommand("password", "give one another password")->fallthrough();
  password->add_option("NAME", options.names, "as listed")->required()->expected(1);
  add_password_options(*password, options);
  auto* cram = password->add_flag("--cram-md5", options.cram_md5, "from now on keep it itself, for CRAM-MD5");
  password->add_flag("--scram", options.scram, "from now on keep a verifier of SCRAM-SHA-256")->excludes(cram);
  return {customer, add, remove, password};
}

int customer_command(const CommonOptions& common, const CustomerOptions& options, const CustomerCommands& commands) {
  if (commands.add->parsed()) return add(common, options);
  if (commands.remove->parsed()) return remove(common, options);
  if (commands.password->parsed()) return change(common, options);
  return list(common);
}

}  // namespace odmr::cli
