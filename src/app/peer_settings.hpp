#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/open.hpp"
#include "config/document.hpp"
#include "config/secret.hpp"

namespace odmr::app {

/// What TLS with one server is to be like, as configured.
struct TlsSettings {
  client::TlsPolicy policy = client::TlsPolicy::starttls;
  std::string ca_file;
  std::vector<std::string> pins;  ///< 32 octets each
  std::string client_certificate;
  std::string client_key;
};

struct LoginSettings {
  std::string user;  ///< empty: no login
  std::optional<config::SecretSource> password;
  std::vector<sasl::Mechanism> filter;
};

/// Whether a command gives the password: who is shut in cannot run it again.
bool is_by_command(const LoginSettings& login);

// What the tables of several servers have in common. What is wrong becomes a fault of the table.

/// How far a configuration is looked into.
enum class Depth {
  keys,   ///< the file alone: for who may have no right to the rest
  files,  ///< secrets and certificates too, but no command is run
};

TlsSettings read_tls(const config::Table& table, client::TlsPolicy otherwise, Depth depth = Depth::files);
LoginSettings read_login(const config::Table& table, Depth depth = Depth::files);
/// A login has its password, or there is none at all.
void check_login(const config::Table& table, const LoginSettings& login, const TlsSettings& tls);
std::uint16_t read_port(const config::Table& table, std::uint16_t otherwise);
/// `to`, the value of that key: "smtp://HOST[:PORT]". `otherwise`: what else it might be, for the fault.
std::optional<net::Endpoint> read_smart_host(const config::Table& table, const std::string& to, const TlsSettings& tls,
                                             const std::string& otherwise);

}  // namespace odmr::app
