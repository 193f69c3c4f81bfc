#include "app/keyring.hpp"

#include <utility>

namespace odmr::app {

namespace {

using config::SecretSource;

Result<std::shared_ptr<net::TlsContext>> make_context(const TlsSettings& tls) {
  return net::TlsContext::client(net::TlsClientOptions{tls.ca_file, tls.pins, tls.client_certificate, tls.client_key});
}

// Where it lies; empty for what lies in no file.
std::string place_of(const SecretSource& source) {
  if (const auto* file = std::get_if<SecretSource::File>(&source.from)) return "file " + file->path;
  if (const auto* credential = std::get_if<SecretSource::Credential>(&source.from))
    return "credential " + credential->name;
  return {};
}

}  // namespace

void Keyring::read_ahead(const TlsSettings& tls, const LoginSettings& login) {
  static_cast<void>(context(tls));
  if (login.password && !place_of(*login.password).empty()) static_cast<void>(password(*login.password));
}

void Keyring::read_ahead(const WaySettings& way) {
  const auto& secret = way.proxy_password;
  if (secret && !place_of(*secret).empty()) static_cast<void>(password(*secret));
}

Result<std::shared_ptr<net::TlsContext>> Keyring::context(const TlsSettings& tls) {
  if (tls.policy == client::TlsPolicy::none) return std::shared_ptr<net::TlsContext>();
  std::vector<std::string> key{tls.ca_file, tls.client_certificate, tls.client_key};
  key.insert(key.end(), tls.pins.begin(), tls.pins.end());
  const auto found = contexts_.find(key);
  if (found != contexts_.end()) return found->second;
  return contexts_.emplace(std::move(key), make_context(tls)).first->second;
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
