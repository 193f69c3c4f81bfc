#include "app/settings.hpp"

#include <algorithm>
#include <set>

#include "app/places.hpp"
#include "base/ascii.hpp"
#include "smtp/path.hpp"

namespace odmr::app {

namespace {

using client::TlsPolicy;
using config::Table;
using Kind = deliver::TargetOptions::Kind;

void read_pins(const Table& table, TlsSettings& tls) {
  for (const auto& text : table.texts("pin", {})) {
    const auto pin = net::parse_pin(text);
    if (pin)
      tls.pins.push_back(*pin);
    else
      table.fault("pin", pin.error().text);
  }
}

// A fault at `key` when TLS cannot be set up with these options alone.
void try_tls(const Table& table, const std::string& key, const net::TlsClientOptions& options) {
  const auto context = net::TlsContext::client(options);
  if (!context) table.fault(key, context.error().text);
}

void read_client_certificate(const Table& table, TlsSettings& tls) {
  tls.client_certificate = table.path("client_certificate").value_or("");
  tls.client_key = table.path("client_key").value_or("");
  if (tls.client_certificate.empty() != tls.client_key.empty()) {
    table.fault(tls.client_key.empty() ? "client_certificate" : "client_key",
                "client_certificate and client_key go together; give both, or neither");
  }
  if (tls.client_certificate.empty() || tls.client_key.empty()) return;
  const auto kept = config::check_secret_file(tls.client_key);
  if (!kept) table.fault("client_key", kept.error().text);
  if (kept) try_tls(table, "client_certificate", net::TlsClientOptions{{}, {}, tls.client_certificate, tls.client_key});
}

TlsSettings read_tls(const Table& table, TlsPolicy otherwise) {
  TlsSettings tls;
  tls.policy = table.choice<TlsPolicy>("tls",
                                       {{"starttls", TlsPolicy::starttls},
                                        {"implicit", TlsPolicy::implicit},
                                        {"if-available", TlsPolicy::if_available},
                                        {"none", TlsPolicy::none}},
                                       otherwise);
  tls.ca_file = table.path("ca_file").value_or("");
  if (!tls.ca_file.empty()) try_tls(table, "ca_file", net::TlsClientOptions{tls.ca_file, {}, {}, {}});
  read_pins(table, tls);
  read_client_certificate(table, tls);
  if (tls.policy == TlsPolicy::none && (!tls.pins.empty() || !tls.ca_file.empty() || !tls.client_certificate.empty())) {
    table.fault("tls",
                "there is nothing to verify without TLS; use tls = \"starttls\" or \"implicit\", or leave out "
                "pin, ca_file and client_certificate");
  }
  return tls;
}

std::vector<sasl::Mechanism> read_filter(const Table& table) {
  std::vector<sasl::Mechanism> filter;
  const auto names = table.texts("auth");
  if (names && names->empty()) table.fault("auth", "an empty list lets no mechanism through; leave it out for all");
  for (const auto& name : names.value_or(std::vector<std::string>())) {
    const auto mechanism = sasl::mechanism_named(name);
    if (mechanism) {
      filter.push_back(*mechanism);
      continue;
    }
    std::string known;
    for (const auto one : sasl::k_mechanisms) known += (known.empty() ? "" : ", ") + std::string(sasl::name(one));
    table.fault("auth", "unknown mechanism \"" + name + "\"; there are " + known);
  }
  return filter;
}

// Now rather than when the line is up, and with its place in the file. A command is not run.
void try_secret(const Table& table, const config::SecretSource& source) {
  const auto good = config::verify(source);
  if (good) return;
  for (const std::string key : {"password_file", "password_credential", "password", "password_command"}) {
    if (table.has(key)) return table.fault(key, good.error().text);
  }
}

LoginSettings read_login(const Table& table) {
  LoginSettings login;
  login.user = table.text("user", "");
  login.password = config::read_secret_source(table);
  if (login.password) try_secret(table, *login.password);
  login.filter = read_filter(table);
  return login;
}

std::uint16_t read_port(const Table& table, std::uint16_t otherwise) {
  return static_cast<std::uint16_t>(table.integer("port", otherwise, {1, 65535}));
}

// "HOST", "HOST:PORT", "[ADDRESS]:PORT". No port where none is given.
struct HostPort {
  std::string host;
  std::optional<std::uint16_t> port;
};
std::optional<HostPort> split_host_port(std::string_view text) {
  HostPort out;
  std::string_view after;
  if (!text.empty() && text.front() == '[') {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    out.host = text.substr(1, close - 1);
    after = text.substr(close + 1);
  } else {
    const auto colon = std::min(text.find(':'), text.size());
    out.host = text.substr(0, colon);
    after = text.substr(colon);
  }
  if (out.host.empty()) return std::nullopt;
  if (after.empty()) return out;
  const auto port = after.front() == ':' ? parse_number(after.substr(1)) : std::nullopt;
  if (!port || *port == 0 || *port > 65535) return std::nullopt;
  out.port = static_cast<std::uint16_t>(*port);
  return out;
}

constexpr const char* k_target_forms =
    "a target is smtp://HOST[:PORT], lmtp://HOST:PORT, lmtp:///SOCKET or maildir:///DIR";

bool take_network_target(std::string_view rest, Kind kind, DeliverSettings& deliver) {
  deliver.kind = kind;
  if (kind == Kind::lmtp && !rest.empty() && rest.front() == '/') {
    deliver.endpoint.socket_path = rest;
    return rest.size() > 1;
  }
  const auto where = split_host_port(rest);
  if (!where) return false;
  // LMTP has no port of its own, and must not be on 25 (RFC 2033 5).
  if (kind == Kind::lmtp && (!where->port || *where->port == 25)) return false;
  deliver.endpoint.host = where->host;
  deliver.endpoint.port = where->port.value_or(25);
  return true;
}

void read_target(const Table& table, DeliverSettings& deliver) {
  const auto to = table.required_text("to", "lmtp:///run/dovecot/lmtp");
  if (to.empty()) return;
  const std::string_view text = to;
  bool good = false;
  if (text.substr(0, 7) == "smtp://") good = take_network_target(text.substr(7), Kind::smtp, deliver);
  if (text.substr(0, 7) == "lmtp://") good = take_network_target(text.substr(7), Kind::lmtp, deliver);
  if (text.substr(0, 10) == "maildir://") {
    deliver.kind = Kind::maildir;
    deliver.directory = text.substr(10);
    good = deliver.directory.size() > 1 && deliver.directory.front() == '/';
  }
  if (!good) table.fault("to", "\"" + to + "\" is no target; " + k_target_forms);
}

DeliverSettings read_deliver(const Table& table) {
  DeliverSettings deliver;
  read_target(table, deliver);
  deliver.tls = read_tls(table, TlsPolicy::none);
  deliver.login = read_login(table);
  if (!deliver.login.user.empty() && !deliver.login.password && deliver.tls.client_certificate.empty()) {
    table.fault("user", "needs a password too: password_file, password_command, password_credential or password");
  }
  if (deliver.login.user.empty() && deliver.login.password) table.fault("user", "a password needs a user");
  return deliver;
}

void read_domains(const Table& table, ProviderSettings& provider) {
  const auto written = table.texts("domains");
  if (!written || written->empty()) {
    if (!written)
      table.fault("domains",
                  "missing; name the domains that the provider holds mail for, such as "
                  "domains = [\"example.org\"]");
    else
      table.fault("domains", "is empty, so nothing could be accepted; name the domains to fetch");
    return;
  }
  for (const auto& one : *written) {
    const auto domain = smtp::canonical_domain(one);
    if (!domain) {
      table.fault("domains", "\"" + one + "\" is no domain: " + domain.error().text);
    } else if (domain->find('.') == std::string::npos) {
      // RFC 2645 5.2.1: a domain of ATRN has two labels at least.
      table.fault("domains", "\"" + one + "\" has a single label, which ATRN cannot carry; write it in full");
    } else if (std::find(provider.domains.begin(), provider.domains.end(), *domain) == provider.domains.end()) {
      provider.domains.push_back(*domain);
    }
  }
}

void read_provider_login(const Table& table, ProviderSettings& provider) {
  provider.login = read_login(table);
  const bool has_certificate = !provider.tls.client_certificate.empty();
  if (provider.login.user.empty() && !has_certificate) {
    table.fault("user", "missing; most providers want the domain's name, such as user = \"example.org\"");
  }
  if (!provider.login.password && !has_certificate && !table.has("password_file") && !table.has("password_command") &&
      !table.has("password_credential") && !table.has("password")) {
    table.fault("password_file",
                "missing; name the file that holds the ATRN password (or use password_command or "
                "password_credential)");
  }
  if (provider.tls.policy != TlsPolicy::none) return;
  for (const auto mechanism : provider.login.filter) {
    if (sasl::allowed_in_clear(mechanism)) continue;
    table.fault("auth", std::string(sasl::name(mechanism)) + " is used only inside TLS, and tls is \"none\"");
  }
}

ProviderSettings read_provider(const Table& table, const Table& deliver) {
  ProviderSettings provider;
  provider.name = table.name();
  provider.endpoint.host = table.required_text("host", "odmr.example.net");
  provider.endpoint.port = read_port(table, 366);
  provider.tls = read_tls(table, TlsPolicy::starttls);
  read_provider_login(table, provider);
  read_domains(table, provider);
  provider.atrn_all = table.boolean("atrn_all", false);
  provider.max_sessions = static_cast<std::uint64_t>(table.integer("max_sessions", 1000, {1, 1000000}));
  const auto own = table.table("deliver");
  provider.deliver = read_deliver(own.is_there() ? own : deliver);
  return provider;
}

TimeoutSettings read_timeouts(const Table& table) {
  TimeoutSettings timeouts;
  timeouts.connect = table.duration("connect", timeouts.connect);
  timeouts.command = table.duration("command", timeouts.command);
  timeouts.atrn = table.duration("atrn", timeouts.atrn);
  timeouts.idle = table.duration("idle", timeouts.idle);
  timeouts.data = table.duration("data", timeouts.data);
  timeouts.target = table.duration("target", timeouts.target);
  timeouts.final = table.duration("final", timeouts.final);
  return timeouts;
}

// Tables of the contract whose work is still to come: they are checked, so that a configuration stays good.
void read_outbound(const Table& table) {
  const auto to = table.text("to");
  if (table.is_there() && !to) table.fault("to", "missing; such as to = \"smtp://smtp.example.net:587\"");
  read_tls(table, TlsPolicy::starttls);
  read_login(table);
  table.text("auth_as");
  table.integer("max_connections", 2, {1, 10});
  table.duration("lifetime", std::chrono::hours(120));
}

std::vector<std::string> read_what_is_to_come(const Table& root) {
  std::vector<std::string> unused;
  const auto note = [&](const Table& table) {
    if (table.is_there()) unused.push_back("[" + table.name() + "]");
    return table;
  };
  read_outbound(note(root.table("outbound")));
  note(root.table("submit")).text("listen");
  note(root.table("watch")).duration("interval", std::chrono::minutes(5));
  const auto line = note(root.table("line"));
  line.command("up");
  line.command("down");
  return unused;
}

}  // namespace

LogSettings read_log(const Table& log) {
  LogSettings settings;
  const auto level = log.choice<Level>("level",
                                       {{"error", Level::error},
                                        {"warn", Level::warn},
                                        {"info", Level::info},
                                        {"debug", Level::debug},
                                        {"trace", Level::trace}},
                                       Level::info);
  if (log.has("level")) settings.level = level;
  settings.format =
      log.choice<LogFormat>("format", {{"text", LogFormat::text}, {"json", LogFormat::json}}, LogFormat::text);
  return settings;
}

Settings read_settings(config::Document& document) {
  const Table root = document.root();
  Settings settings;
  settings.state_dir = root.path("state_dir").value_or(default_state_dir());
  settings.state_dir_is_default = !root.has("state_dir");
  settings.hostname = read_hostname(root);
  settings.stop_grace = root.duration("stop_grace", settings.stop_grace, {Duration::zero(), std::chrono::hours(24)});
  settings.log = read_log(root.table("log"));
  settings.timeouts = read_timeouts(root.table("timeouts"));

  const Table deliver = root.table("deliver");
  const auto providers = root.tables("provider");
  const bool all_have_their_own =
      !providers.empty() &&
      std::all_of(providers.begin(), providers.end(), [](const Table& one) { return one.table("deliver").is_there(); });
  if (deliver.is_there() || !all_have_their_own) read_deliver(deliver);
  if (providers.empty()) root.fault("provider", "missing; there has to be one [provider.NAME] at least");
  for (const auto& table : providers) settings.providers.push_back(read_provider(table, deliver));
  settings.unused = read_what_is_to_come(root);
  return settings;
}

tl::expected<Settings, std::vector<std::string>> load_settings(const std::string& named) {
  const auto path = find_configuration(named);
  if (!path) return tl::unexpected(std::vector<std::string>{path.error().text});
  auto document = config::Document::load(*path);
  if (!document) return tl::unexpected(std::vector<std::string>{document.error().render()});
  auto settings = read_settings(*document);
  std::vector<std::string> faults;
  for (const auto& fault : document->faults()) faults.push_back(fault.render());
  faults.erase(std::unique(faults.begin(), faults.end()), faults.end());
  if (!faults.empty()) return tl::unexpected(std::move(faults));
  return settings;
}

}  // namespace odmr::app
