#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/settings.hpp"
#include "net/tls.hpp"

namespace odmr::app {

/// Secrets, certificates and trust, which are read once: those in files before the process shuts itself in, since
/// afterwards it has no right to them. A password by command waits until it is needed: somebody may have to be asked.
class Keyring {
 public:
  explicit Keyring(config::RunCommand run = output_of) : run_(std::move(run)) {}

  /// Reads what needs no command. What is wrong with it is said when it is asked for.
  void read_ahead(const TlsSettings& tls, const LoginSettings& login);
  void read_ahead(const WaySettings& way);

  /// Errors: those of net::TlsContext::client().
  Result<std::shared_ptr<net::TlsContext>> context(const TlsSettings& tls);
  /// Errors: those of config::load().
  Result<Secret> password(const config::SecretSource& source);

 private:
  config::RunCommand run_;
  std::map<std::vector<std::string>, Result<std::shared_ptr<net::TlsContext>>> contexts_;
  std::map<std::string, Result<std::shared_ptr<const Secret>>> passwords_;
};

}  // namespace odmr::app
