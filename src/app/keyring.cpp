#include "app/keyring.hpp"

#include <utility>

namespace odmr::app {

namespace {

using config::SecretSource;

// Where it lies; empty for what lies in no file.
std::string place_of(const SecretSource& source) {
  if (const auto* file = std::get_if<SecretSource::File>(&source.from)) return "file " + file->path;
  if (const auto* credential = std::get_if<SecretSource::Credential>(&source.from))
    return "credential " + credential->name;
  return {};
}

}  // namespace

std::string name_of(const ProviderSettings& provider) {
  return "provider " + provider.name;
}

void Keyring::read_ahead(const TlsSettings& tls, const LoginSettings& login, const std::string& server) {
  static_cast<void>(context(tls, server));
  if (login.password && !place_of(*login.password).empty()) static_cast<void>(password(*login.password));
}

void Keyring::read_ahead(const WaySettings& way) {
  const auto& secret = way.proxy_password;
  if (secret && !place_of(*secret).empty()) static_cast<void>(password(*secret));
}

Result<std::shared_ptr<net::TlsContext>> Keyring::context(const TlsSettings& tls, const std::string& server) {
  if (tls.policy == client::TlsPolicy::none) return std::shared_ptr<net::TlsContext>();
  std::vector<std::string> key{server, tls.ca_file, tls.client_certificate, tls.client_key};
  key.insert(key.end(), tls.pins.begin(), tls.pins.end());
  const auto found = contexts_.find(key);
  if (found != contexts_.end()) return found->second;
  net::TlsClientOptions options{tls.ca_file, tls.pins, tls.client_certificate, tls.client_key};
  if (tickets_ && !server.empty()) options.tickets = tickets_(server);
  return contexts_.emplace(std::move(key), net::TlsContext::client(options)).first->second;
}

Result<Secret> Keyring::password(const SecretSource& source) {
  const auto place = place_of(source);
  if (place.empty()) return config::load(source, std::chrono::minutes(1), run_);
  auto found = passwords_.find(place);
  if (found == passwords_.end()) {
    auto loaded = config::load(source);
    Result<std::shared_ptr<const Secret>> kept =
        loaded ? Result<std::shared_ptr<const Secret>>(std::make_shared<const Secret>(std::move(*loaded)))
               : fail(loaded.error());
    found = passwords_.emplace(place, std::move(kept)).first;
  }
  if (!found->second) return fail(found->second.error());
  return Secret((*found->second)->text());
}

}  // namespace odmr::app
