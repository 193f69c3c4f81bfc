#include "app/peer_settings.hpp"

#include "app/host_port.hpp"
#include "net/tls.hpp"

namespace odmr::app {

using client::TlsPolicy;
using config::Table;

namespace {

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

void read_client_certificate(const Table& table, TlsSettings& tls, Depth depth) {
  tls.client_certificate = table.path("client_certificate").value_or("");
  tls.client_key = table.path("client_key").value_or("");
  if (tls.client_certificate.empty() != tls.client_key.empty()) {
    table.fault(tls.client_key.empty() ? "client_certificate" : "client_key",
                "client_certificate and client_key go together; give both, or neither");
  }
  if (tls.client_certificate.empty() || tls.client_key.empty() || depth == Depth::keys) return;
  const auto kept = config::check_secret_file(tls.client_key);
  if (!kept) table.fault("client_key", kept.error().text);
  if (kept) try_tls(table, "client_certificate", net::TlsClientOptions{{}, {}, tls.client_certificate, tls.client_key});
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

}  // namespace

bool is_by_command(const LoginSettings& login) {
  return login.password && std::holds_alternative<config::SecretSource::Command>(login.password->from);
}

TlsSettings read_tls(const Table& table, TlsPolicy otherwise, Depth depth) {
  TlsSettings tls;
  tls.policy = table.choice<TlsPolicy>("tls",
                                       {{"starttls", TlsPolicy::starttls},
                                        {"implicit", TlsPolicy::implicit},
                                        {"if-available", TlsPolicy::if_available},
                                        {"none", TlsPolicy::none}},
                                       otherwise);
  tls.ca_file = table.path("ca_file").value_or("");
  if (!tls.ca_file.empty() && depth == Depth::files)
    try_tls(table, "ca_file", net::TlsClientOptions{tls.ca_file, {}, {}, {}});
  read_pins(table, tls);
  read_client_certificate(table, tls, depth);
  if (tls.policy == TlsPolicy::none && (!tls.pins.empty() || !tls.ca_file.empty() || !tls.client_certificate.empty())) {
    table.fault("tls",
                "there is nothing to verify without TLS; use tls = \"starttls\" or \"implicit\", or leave out "
                "pin, ca_file and client_certificate");
  }
  return tls;
}

LoginSettings read_login(const Table& table, Depth depth) {
  LoginSettings login;
  login.user = table.text("user", "");
  login.password = config::read_secret_source(table);
  if (login.password && depth == Depth::files) try_secret(table, *login.password);
  login.filter = read_filter(table);
  return login;
}

std::uint16_t read_port(const Table& table, std::uint16_t otherwise) {
  return static_cast<std::uint16_t>(table.integer("port", otherwise, {1, 65535}));
}

// A login with its password, or none at all.
void check_login(const Table& table, const LoginSettings& login, const TlsSettings& tls) {
  if (!login.user.empty() && !login.password && tls.client_certificate.empty()) {
    table.fault("user", "needs a password too: password_file, password_command, password_credential or password");
  }
  if (login.user.empty() && login.password) table.fault("user", "a password needs a user");
}

std::optional<net::Endpoint> read_smart_host(const Table& table, const std::string& to, const TlsSettings& tls,
                                             const std::string& otherwise) {
  const std::string_view text = to;
  const auto where = text.substr(0, 7) == "smtp://" ? split_host_port(text.substr(7)) : std::nullopt;
  if (!where) {
    table.fault("to", "\"" + to + "\" is no smart host; write smtp://HOST[:PORT]" + otherwise);
    return std::nullopt;
  }
  net::Endpoint endpoint;
  endpoint.host = where->host;
  // RFC 8314 3.3: 465 is TLS from the first byte on, RFC 6409 3.1: 587 is for submission.
  endpoint.port = where->port.value_or(tls.policy == TlsPolicy::implicit ? 465 : 587);
  return endpoint;
}

}  // namespace odmr::app
