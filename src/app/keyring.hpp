#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/settings.hpp"
#include "net/tls.hpp"

namespace odmr::app {

/// Names of servers, as Keyring keeps their tickets apart.
std::string name_of(const ProviderSettings& provider);
inline constexpr const char* k_smart_host = "outbound";

/// Secrets, certificates and trust, which are read once: those in files before the process shuts itself in, since
/// afterwards it has no right to them. A password by command waits until it is needed: somebody may have to be asked.
class Keyring {
 public:
  /// Where the tickets of a server are kept; null: nowhere.
  using Tickets = std::function<std::shared_ptr<net::TlsTickets>(const std::string& server)>;

  explicit Keyring(config::RunCommand run = output_of, Tickets tickets = nullptr)
      : run_(std::move(run)), tickets_(std::move(tickets)) {}

  /// Reads what needs no command. What is wrong with it is said when it is asked for.
  void read_ahead(const TlsSettings& tls, const LoginSettings& login, const std::string& server = {});
  void read_ahead(const WaySettings& way);

  /// `server`: whose tickets it uses; empty: none. Errors: those of net::TlsContext::client().
  Result<std::shared_ptr<net::TlsContext>> context(const TlsSettings& tls, const std::string& server = {});
  /// Errors: those of config::load().
  Result<Secret> password(const config::SecretSource& source);

 private:
  config::RunCommand run_;
  Tickets tickets_;
  std::map<std::vector<std::string>, Result<std::shared_ptr<net::TlsContext>>> contexts_;
  std::map<std::string, Result<std::shared_ptr<const Secret>>> passwords_;
};

}  // namespace odmr::app
