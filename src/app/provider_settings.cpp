#include "app/provider_settings.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>

#include "app/run_as.hpp"
#include "base/ascii.hpp"
#include "smtp/path.hpp"

namespace odmr::app {

namespace {

using config::Table;
using provider::DoorTls;

void check_certificate(const Table& table, const net::TlsServerOptions& options) {
  if (const auto kept = config::check_secret_file(options.key); !kept) return table.fault("key", kept.error().text);
  const auto context = net::TlsContext::server(options);
  if (!context) table.fault("certificate", context.error().text);
}

ListenSettings read_listener(const Table& table, Depth depth) {
  ListenSettings listen;
  listen.name = table.name();
  listen.address = table.required_text("address", "[::]:366");
  listen.tls = table.choice<DoorTls>(
      "tls", {{"starttls", DoorTls::starttls}, {"implicit", DoorTls::implicit}, {"none", DoorTls::none}},
      DoorTls::starttls);
  listen.certificate.certificate = table.path("certificate").value_or("");
  listen.certificate.key = table.path("key").value_or("");
  listen.certificate.client_ca = table.path("client_ca").value_or("");
  if (listen.tls == DoorTls::none) {
    for (const char* key : {"certificate", "key", "client_ca"}) {
      if (table.has(key)) table.fault(key, "is of no use with tls = \"none\"; leave it out, or use \"starttls\"");
    }
    return listen;
  }
  for (const char* key : {"certificate", "key"}) {
    if (!table.has(key))
      table.fault(key, "missing; TLS needs both, such as " + std::string(key) + " = \"/etc/odmrd/" + key + ".pem\"");
  }
  const bool is_whole = !listen.certificate.certificate.empty() && !listen.certificate.key.empty();
  if (is_whole && depth == Depth::files) check_certificate(table, listen.certificate);
  return listen;
}

std::vector<std::string> read_domains(const Table& table) {
  std::vector<std::string> domains;
  const auto written = table.texts("domains");
  if (!table.has("domains")) table.fault("domains", "missing; such as domains = [\"example.org\"]");
  if (written && written->empty()) table.fault("domains", "is empty; name the domains whose mail is held");
  for (const auto& one : written.value_or(std::vector<std::string>())) {
    const auto domain = smtp::canonical_domain(one);
    if (!domain) {
      table.fault("domains", "\"" + one + "\" is no domain: " + domain.error().text);
    } else if (domain->find('.') == std::string::npos) {
      // RFC 2645 5.2.1: a domain of ATRN has two labels at least.
      table.fault("domains", "\"" + one + "\" has a single label, which ATRN cannot carry; write it in full");
    } else {
      domains.push_back(*domain);
    }
  }
  return domains;
}

CustomerSettings read_customer(const Table& table, Depth depth) {
  CustomerSettings customer;
  customer.name = table.name();
  customer.user = table.required_text("user", "example.org");
  customer.password = config::read_secret_source(table);
  customer.certificate_names = table.texts("certificate_names", {});
  customer.domains = read_domains(table);
  if (!customer.password && !table.has("certificate_names")) {
    bool is_tried = false;
    for (const char* key : {"password_file", "password_command", "password_credential", "password"}) {
      is_tried = is_tried || table.has(key);
    }
    if (!is_tried) {
      table.fault("password_file",
                  "missing; name the file that holds the ATRN password (or use password_command, "
                  "password_credential, or certificate_names)");
    }
  }
  if (customer.password && depth == Depth::files) {
    const auto readable = config::verify(*customer.password);
    const bool is_file = table.has("password_file");
    if (!readable) table.fault(is_file ? "password_file" : "password_credential", readable.error().text);
  }
  return customer;
}

// A domain, a user, or a certificate's name stands for one customer alone.
class Owners {
 public:
  Owners(const char* key, const char* what) : key_(key), what_(what) {}

  void take(const Table& table, const std::string& value) {
    const auto [owner, is_new] = owners_.emplace(value, table.name());
    if (is_new) return;
    const bool same = owner->second == table.name();
    table.fault(key_, std::string(what_) + " \"" + escape(value) + "\" is " +
                          (same ? "there twice" : "also that of [customer." + owner->second + "]") + "; leave one out");
  }

 private:
  const char* key_;
  const char* what_;
  std::map<std::string, std::string> owners_;
};

void read_customers(const Table& root, DaemonSettings& settings, Depth depth) {
  const auto tables = root.tables("customer");
  if (tables.empty()) root.fault("customer", "missing; there has to be one [customer.NAME] at least");
  const bool asks_for_certificates =
      std::any_of(settings.listeners.begin(), settings.listeners.end(),
                  [](const ListenSettings& one) { return !one.certificate.client_ca.empty(); });
  Owners of_domains("domains", "the domain");
  Owners of_users("user", "the user");
  Owners of_names("certificate_names", "the name");
  for (const auto& table : tables) {
    settings.customers.push_back(read_customer(table, depth));
    const auto& customer = settings.customers.back();
    for (const auto& domain : customer.domains) of_domains.take(table, domain);
    for (const auto& name : customer.certificate_names) of_names.take(table, lower(name));
    if (!customer.user.empty()) of_users.take(table, customer.user);
    if (!customer.certificate_names.empty() && !asks_for_certificates) {
      table.fault("certificate_names", "no [listen.NAME] has a client_ca, so nobody can show a certificate");
    }
  }
}

void read_timeouts(const Table& table, provider::SessionOptions& session) {
  session.login = table.duration("login", session.login);
  session.command = table.duration("command", session.command);
  session.data = table.duration("data", session.data);
  session.final = table.duration("final", session.final);
  session.silence = table.duration("silence", session.silence);
}

std::string configuration_file(const std::string& named) {
  if (!named.empty()) return named;
  const char* given = std::getenv("ODMRD_CONFIG");
  return given != nullptr && *given != '\0' ? given : "/etc/odmrd/odmrd.toml";
}

provider::Customer without_secret(const CustomerSettings& settings) {
  return provider::Customer{settings.name, settings.user, Secret(),
                            provider::Domains(settings.domains.begin(), settings.domains.end()),
                            settings.certificate_names};
}

}  // namespace

DaemonSettings read_daemon_settings(config::Document& document, Depth depth) {
  const Table root = document.root();
  DaemonSettings settings;
  settings.spool = root.path("spool").value_or("/var/spool/odmrd");
  settings.run_as = read_run_as(root);
  settings.session.hostname = root.text("hostname", default_hostname());
  if (!smtp::is_ehlo_name(settings.session.hostname)) {
    root.fault("hostname", "\"" + settings.session.hostname +
                               "\" is no host name; give a full one, such as hostname = \"odmr.example.net\"");
  }
  settings.stop_grace = root.duration("stop_grace", settings.stop_grace, {Duration::zero(), std::chrono::hours(24)});
  settings.max_connections_per_address =
      static_cast<std::uint64_t>(root.integer("max_connections_per_address", 50, {1, 1'000'000}));
  settings.max_connections = static_cast<std::uint64_t>(root.integer("max_connections", 500, {1, 1'000'000}));
  settings.log = read_log(root.table("log"));
  read_timeouts(root.table("timeouts"), settings.session);
  const auto listeners = root.tables("listen");
  if (listeners.empty()) root.fault("listen", "missing; there has to be one [listen.NAME] at least");
  for (const auto& table : listeners) settings.listeners.push_back(read_listener(table, depth));
  read_customers(root, settings, depth);
  return settings;
}

tl::expected<DaemonSettings, std::vector<std::string>> load_daemon_settings(const std::string& named, Depth depth) {
  auto document = config::Document::load(configuration_file(named));
  if (!document) return tl::unexpected(std::vector<std::string>{document.error().render()});
  auto settings = read_daemon_settings(*document, depth);
  std::vector<std::string> faults;
  for (const auto& fault : document->faults()) faults.push_back(fault.render());
  if (!faults.empty()) return tl::unexpected(std::move(faults));
  return settings;
}

provider::Customers customers_without_secrets(const DaemonSettings& settings) {
  std::vector<provider::Customer> customers;
  for (const auto& one : settings.customers) customers.push_back(without_secret(one));
  return provider::Customers(std::move(customers));
}

Result<provider::Customers> customers_with_secrets(const DaemonSettings& settings) {
  std::vector<provider::Customer> customers;
  for (const auto& one : settings.customers) {
    customers.push_back(without_secret(one));
    if (!one.password) continue;
    auto password = config::load(*one.password);
    if (!password) return fail(password.error().code, "customer." + one.name + ": " + password.error().text);
    customers.back().password = std::move(*password);
  }
  return provider::Customers(std::move(customers));
}

}  // namespace odmr::app
