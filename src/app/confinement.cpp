#include "app/confinement.hpp"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>

#include "app/run_as.hpp"
#include "base/own_program.hpp"
#include "net/tls.hpp"

namespace odmr::app {

namespace {

namespace fs = std::filesystem;
using confine::Command;
using confine::Rules;

constexpr std::uint16_t k_domain = 53;  // DNS over TCP, for long answers

bool is_below(const std::string& path, const std::vector<std::string>& directories) {
  return std::any_of(directories.begin(), directories.end(),
                     [&](const std::string& one) { return path == one || path.starts_with(one + "/"); });
}

// Where the links of a directory lead, out of what may be read anyway: a certificate of one's own, say.
void add_what_links_lead_to(const std::string& directory, Rules& rules) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(directory.c_str()), &closedir);
  if (!entries) return;
  // There are hundreds, and most name their neighbours: one system call for each, as std::filesystem does not.
  std::array<char, PATH_MAX> link{};
  while (const dirent* entry = readdir(entries.get())) {
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) continue;
    const ssize_t size = readlinkat(dirfd(entries.get()), entry->d_name, link.data(), link.size());
    const std::string_view text(link.data(), size < 0 ? 0 : static_cast<std::size_t>(size));
    if (text.find('/') == std::string_view::npos) continue;
    const auto target = (fs::path(directory) / text).lexically_normal().string();
    if (!is_below(target, rules.readable)) rules.readable.push_back(target);
  }
}

void add_trust_store(Rules& rules) {
  for (const auto& directory : net::trust_directories()) {
    rules.readable.push_back(directory);
    add_what_links_lead_to(directory, rules);
  }
}

bool looks_there(const TlsSettings& tls) {
  // Pins alone need no chain.
  return tls.policy != client::TlsPolicy::none && tls.ca_file.empty() && tls.pins.empty();
}

bool looks_there(const OutboundSettings& outbound) {
  return looks_there(outbound.tls) || (outbound.pop_before_smtp && looks_there(outbound.pop_before_smtp->tls));
}

// To read the trust store's hundreds of links costs an idle run as much as all its other files.
bool trust_store_is_needed(const Settings& settings) {
  if (looks_there(settings.deliver.tls) || (settings.outbound && looks_there(*settings.outbound))) return true;
  return std::any_of(settings.providers.begin(), settings.providers.end(),
                     [](const auto& one) { return looks_there(one.tls) || looks_there(one.deliver.tls); });
}

// A dialled line writes a new one, mostly beside where the old one is.
void add_resolver(Rules& rules) {
  std::error_code unknown;
  const auto file = fs::canonical("/etc/resolv.conf", unknown);
  if (!unknown) rules.readable.push_back(file.parent_path().string());
}

// Names of hosts and users, the time of day, libraries: what the C library reads whenever it likes.
Rules rules_for_all() {
  Rules rules;
  rules.readable = {"/etc",    "/usr", "/lib",         "/lib32",      "/lib64",
                    "/libx32", "/run", "/dev/urandom", "/dev/random", "/dev/null"};
  add_resolver(rules);
  return rules;
}

// A Unix socket needs no rule: who may connect there, its own rights say.
void add_port(const net::Endpoint& endpoint, Rules& rules) {
  if (endpoint.socket_path.empty() && endpoint.port != 0) rules.connectable.push_back(endpoint.port);
}

// Through a proxy its port is the only one.
void add_port(const net::Endpoint& endpoint, const net::Way& way, Rules& rules) {
  rules.connectable.push_back(way.proxy ? way.proxy->port : endpoint.port);
  if (!way.source_address.empty()) rules.binds_any_port = true;
}

void add_provider(const ProviderSettings& provider, Rules& rules) {
  add_port(provider.endpoint, provider.way.way, rules);
  for (const auto& one : provider.alternatives) add_port(one, provider.way.way, rules);
  if (provider.signal) add_port(provider.signal->endpoint, provider.way.way, rules);
}

void add_target(const DeliverSettings& deliver, Rules& rules) {
  if (deliver.kind == deliver::TargetOptions::Kind::maildir)
    rules.writable.push_back(deliver.directory);
  else
    add_port(deliver.endpoint, rules);
}

void add_smart_host(const OutboundSettings& outbound, Rules& rules) {
  if (outbound.to == OutboundSettings::To::smart_host) add_port(outbound.endpoint, outbound.way.way, rules);
  if (outbound.pop_before_smtp) add_port(outbound.pop_before_smtp->endpoint, outbound.way.way, rules);
}

void add_conversion(Rules& rules) {
  const auto program = own_program("odmr-7bit");
  if (!program) return;  // that is said when it is needed
  rules.executable.push_back(*program);
  rules.executable.push_back(confine::program_interpreter());
}

void add_command(const std::optional<config::SecretSource>& password, std::vector<Command>& commands) {
  if (!password) return;
  const auto* command = std::get_if<config::SecretSource::Command>(&password->from);
  if (command != nullptr) commands.push_back(command->argv);
}

void add_command(const LoginSettings& login, std::vector<Command>& commands) {
  add_command(login.password, commands);
}

}  // namespace

Rules rules_for_run(const Settings& settings) {
  Rules rules = rules_for_all();
  if (trust_store_is_needed(settings)) add_trust_store(rules);
  rules.writable.push_back(settings.state_dir);
  rules.connectable.push_back(k_domain);
  add_target(settings.deliver, rules);
  for (const auto& provider : settings.providers) {
    add_provider(provider, rules);
    add_target(provider.deliver, rules);
  }
  if (settings.outbound) add_smart_host(*settings.outbound, rules);
  if (settings.outbound && settings.outbound->convert_8bit) add_conversion(rules);
  return rules;
}

Rules rules_for_submit(const Settings& settings, bool direct, const std::vector<std::string>& sockets) {
  Rules rules = rules_for_all();
  for (const auto& socket : sockets) {
    if (socket.starts_with('/')) rules.removable.push_back(fs::path(socket).parent_path().string());
  }
  rules.connectable.push_back(k_domain);
  if (direct && settings.outbound) {
    if (looks_there(*settings.outbound)) add_trust_store(rules);
    add_smart_host(*settings.outbound, rules);
  } else if (!direct) {
    rules.writable.push_back(settings.state_dir);
  }
  return rules;
}

Rules rules_for_test_mail(const Settings& settings) {
  Rules rules = rules_for_all();
  if (trust_store_is_needed(settings)) add_trust_store(rules);
  rules.connectable.push_back(k_domain);
  if (settings.outbound) add_smart_host(*settings.outbound, rules);
  for (const auto& provider : settings.providers) add_provider(provider, rules);
  return rules;
}

Rules rules_for_serve(const DaemonSettings& settings) {
  Rules rules = rules_for_all();
  rules.writable.push_back(settings.spool);
  // SIGHUP has them read again; what takes a file's place is another file.
  for (const auto& file : settings.files) {
    std::error_code unknown;
    rules.readable.push_back(fs::absolute(file, unknown).parent_path().string());
  }
  rules.readable.push_back(settings.customers_dir);
  for (const auto& intake : settings.intakes) {
    if (intake.address.starts_with('/')) rules.removable.push_back(fs::path(intake.address).parent_path().string());
  }
  const std::string& page = settings.status.address;
  if (page.starts_with('/')) rules.removable.push_back(fs::path(page).parent_path().string());
  rules.connectable.push_back(k_domain);
  bool needs_trust = false;
  if (settings.outbound) {
    add_port(settings.outbound->endpoint, rules);
    needs_trust = looks_there(settings.outbound->tls);
  }
  for (const auto& one : settings.customers) {
    if (!one.etrn) continue;
    rules.connectable.push_back(one.etrn->port);
    needs_trust = needs_trust || looks_there(one.etrn->tls);
  }
  if (needs_trust) add_trust_store(rules);
  return rules;
}

std::vector<Command> commands_of(const Settings& settings) {
  std::vector<Command> commands;
  for (const auto* command : {&settings.line.dialled.up, &settings.line.dialled.down}) {
    if (!command->empty()) commands.push_back(*command);
  }
  add_command(settings.deliver.login, commands);
  for (const auto& provider : settings.providers) {
    add_command(provider.login, commands);
    add_command(provider.way.proxy_password, commands);
    add_command(provider.deliver.login, commands);
  }
  if (settings.outbound) {
    add_command(settings.outbound->login, commands);
    add_command(settings.outbound->way.proxy_password, commands);
    if (settings.outbound->pop_before_smtp) add_command(settings.outbound->pop_before_smtp->login, commands);
  }
  if (settings.command) {
    commands.push_back(settings.command->command);
    if (!settings.command->is_empty.empty()) commands.push_back(settings.command->is_empty);
  }
  return commands;
}

void make_maildirs(const Settings& settings) {
  const auto make = [](const DeliverSettings& deliver) {
    if (deliver.kind == deliver::TargetOptions::Kind::maildir) (void)system_files().make_dir(deliver.directory, 0700);
  };
  make(settings.deliver);
  for (const auto& provider : settings.providers) make(provider.deliver);
}

Result<void> become_configured(const std::optional<confine::User>& run_as, Log& log) {
  if (const auto user = to_become(run_as)) return confine::become(*user);
  if (::geteuid() == 0) {
    log.info("runs as root: run_as in the configuration would name a user with fewer rights");
  } else if (run_as && run_as->id != ::geteuid()) {
    log.info("run_as means nothing here: only root can become somebody else", {{"run_as", run_as->name}});
  }
  return {};
}

void shut_in(const Rules& rules, Log& log) {
  const auto confined = confine::shut_in(rules);
  if (!confined) {
    log.warn("the process could not be confined", {{"why", confined.error().text}});
  } else if (!confined->of_files) {
    log.info("this kernel does not confine the process to its own files", {{"why", confined->why_not}});
  } else {
    log.debug("confined", {{"connections", confined->of_connections ? "to configured ports" : "no"}});
  }
}

}  // namespace odmr::app
