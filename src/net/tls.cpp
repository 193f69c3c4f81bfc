#include "net/tls.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>

#include "base/ascii.hpp"
#include "net/digest.hpp"
#include "net/tls_context.hpp"
#include "net/tls_resumption.hpp"

namespace odmr::net {

namespace {

constexpr long k_ticket_lifetime = 24 * 60 * 60;

std::string_view as_text(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

std::string address_text(std::string_view octets) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(octets[i])); };
  std::string out;
  if (octets.size() == 4) {
    for (std::size_t i = 0; i < 4; ++i) out += (i == 0 ? "" : ".") + std::to_string(byte(i));
  } else if (octets.size() == 16) {
    for (std::size_t i = 0; i < 16; i += 2) out += (i == 0 ? "" : ":") + hex(octets.substr(i, 2));
  }
  return out;
}

// For the connection that this handshake is of. In its middle OpenSSL does not give the certificate away.
void keep_what_is_shown(X509_STORE_CTX* chain) {
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* shown = ssl == nullptr ? nullptr : static_cast<std::optional<Certificate>*>(SSL_get_app_data(ssl));
  X509* certificate = X509_STORE_CTX_get0_cert(chain);
  if (shown != nullptr && certificate != nullptr) *shown = facts_of(certificate);
}

// Stands in for X509_verify_cert, so that pins count before we have said anything to the server.
int verify_server(X509_STORE_CTX* chain, void* argument) {
  const auto& context = *static_cast<const TlsContext::Impl*>(argument);
  keep_what_is_shown(chain);
  if (!context.pins_alone && X509_verify_cert(chain) != 1) return 0;
  if (context.pins.empty() || is_pinned(context, X509_STORE_CTX_get0_cert(chain))) {
    X509_STORE_CTX_set_error(chain, X509_V_OK);
    return 1;
  }
  X509_STORE_CTX_set_error(chain, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

Result<void> use_certificate(SSL_CTX* context, const std::string& certificate, const std::string& key) {
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1) {
    return fail(Errc::tls, certificate + ": not usable as a certificate: " + openssl_words("unreadable"));
  }
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
    return fail(Errc::tls, key + ": not usable as a key: " + openssl_words("unreadable"));
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    return fail(Errc::tls, key + ": is not the key of " + certificate);
  }
  return {};
}

void harden(SSL_CTX* context) {
  // RFC 8997: nothing below TLS 1.2. Level 2: no SHA-1 signatures, no RSA below 2048 bits.
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_security_level(context, 2);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
}

std::optional<std::string> octets_of_hex(std::string_view text) {
  if (text.size() != 64) return std::nullopt;
  const auto digit = [](char c) -> int {
    if (is_digit(c)) return c - '0';
    const char low = to_lower(c);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
  };
  std::string octets;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    octets += static_cast<char>(high * 16 + low);
  }
  return octets;
}

std::optional<std::string> octets_of_base64(std::string_view text) {
  if (text.size() != 44 || text.back() != '=') return std::nullopt;
  std::array<unsigned char, 48> out{};
  const int length = EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()), 44);
  if (length != 33) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(out.data()), 32);
}

}  // namespace

std::string openssl_words(const std::string& otherwise) {
  const unsigned long first = ERR_get_error();
  ERR_clear_error();
  if (first == 0) return otherwise;
  const char* reason = ERR_reason_error_string(first);
  return reason == nullptr ? otherwise : std::string(reason);
}

std::string public_key_pin(X509* certificate) {
  if (certificate == nullptr) return {};
  unsigned char* der = nullptr;
  const int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (length <= 0) return {};
  std::string pin = sha256({reinterpret_cast<const char*>(der), static_cast<std::size_t>(length)});
  OPENSSL_free(der);
  return pin;
}

bool is_pinned(const TlsContext::Impl& context, X509* certificate) {
  const std::string pin = public_key_pin(certificate);
  return !pin.empty() && std::find(context.pins.begin(), context.pins.end(), pin) != context.pins.end();
}

std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> names;
  auto* all = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(all); ++i) {
    const GENERAL_NAME* entry = sk_GENERAL_NAME_value(all, i);
    std::string text;
    if (entry->type == GEN_DNS || entry->type == GEN_EMAIL) text = as_text(entry->d.ia5);
    if (entry->type == GEN_IPADD) text = address_text(as_text(entry->d.iPAddress));
    if (!text.empty() && text.find('\0') == std::string::npos) names.push_back(text);
  }
  GENERAL_NAMES_free(all);
  return names;
}

std::string common_name_of(X509* certificate) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (index < 0) return {};
  const std::string name(as_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index))));
  return name.find('\0') == std::string::npos ? name : std::string();
}

namespace {

std::string text_of(const X509_NAME* name) {
  BIO* text = BIO_new(BIO_s_mem());
  // RFC 2253's escapes, but for what is not ASCII: who shows it does that.
  X509_NAME_print_ex(text, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(text, &bytes);
  std::string out(bytes, static_cast<std::size_t>(std::max(size, 0L)));
  BIO_free(text);
  return out;
}

WallTime time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  // "No end" is the year 9999 (RFC 5280 4.1.2.5), which the clock's nanoseconds do not reach.
  constexpr std::time_t most = 9'000'000'000;
  return std::chrono::system_clock::from_time_t(std::clamp<std::time_t>(timegm(&parts), -most, most));
}

}  // namespace

Certificate facts_of(X509* certificate) {
  Certificate facts;
  facts.subject = text_of(X509_get_subject_name(certificate));
  facts.issuer = text_of(X509_get_issuer_name(certificate));
  facts.names = names_of(certificate);
  facts.not_before = time_of(X509_get0_notBefore(certificate));
  facts.not_after = time_of(X509_get0_notAfter(certificate));
  facts.pin = public_key_pin(certificate);
  return facts;
}

TlsContext::TlsContext(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

std::string TlsContext::verification() const {
  if (impl_->pins_alone) return "pin";
  return impl_->pins.empty() ? "chain" : "chain and pin";
}

Result<std::shared_ptr<TlsContext>> TlsContext::client(const TlsClientOptions& options) {
  ERR_clear_error();
  auto impl = std::make_unique<Impl>(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = impl->get();
  harden(context);
  impl->pins = options.pins;
  impl->pins_alone = !options.pins.empty() && options.ca_file.empty();
  if (options.ca_file.empty()) {
    // The hashed directory costs nothing until a certificate is looked for; the bundle would be parsed at each start.
    SSL_CTX_set_default_verify_dir(context);
  } else if (SSL_CTX_load_verify_file(context, options.ca_file.c_str()) != 1) {
    return fail(Errc::tls, options.ca_file + ": no certificates to trust: " + openssl_words("unreadable"));
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, verify_server, impl.get());
  if (!options.client_certificate.empty()) {
    auto used = use_certificate(context, options.client_certificate, options.client_key);
    if (!used) return fail(used.error());
  }
  if (options.tickets) {
    impl->tickets = options.tickets;
    impl->demands = digest_of_demands(options);
    keep_tickets(*impl);
  }
  return std::make_shared<TlsContext>(std::move(impl));
}

Result<std::shared_ptr<TlsContext>> TlsContext::server(const TlsServerOptions& options) {
  ERR_clear_error();
  auto impl = std::make_unique<Impl>(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* context = impl->get();
  harden(context);
  auto used = use_certificate(context, options.certificate, options.key);
  if (!used) return fail(used.error());
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  // A ticket spares a customer who calls every few minutes the certificate. Not one who shows a certificate himself:
  // it is to be verified each time.
  SSL_CTX_set_num_tickets(context, options.client_ca.empty() ? 1 : 0);
  SSL_CTX_set_timeout(context, k_ticket_lifetime);
  if (!options.client_ca.empty()) {
    if (SSL_CTX_load_verify_file(context, options.client_ca.c_str()) != 1) {
      return fail(Errc::tls, options.client_ca + ": no certificates to trust: " + openssl_words("unreadable"));
    }
    SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(options.client_ca.c_str()));
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  }
  return std::make_shared<TlsContext>(std::move(impl));
}

std::vector<std::string> trust_directories() {
  // As X509_LOOKUP_hash_dir() has it.
  const char* named = std::getenv(X509_get_default_cert_dir_env());
  std::string_view rest = named == nullptr ? X509_get_default_cert_dir() : named;
  std::vector<std::string> directories;
  while (!rest.empty()) {
    const auto end = std::min(rest.find(':'), rest.size());
    if (end > 0) directories.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return directories;
}

Result<std::string> parse_pin(std::string_view text) {
  constexpr std::string_view prefix = "sha256:";
  if (starts_with_ignoring_case(text, prefix)) {
    const auto digest = text.substr(prefix.size());
    if (auto octets = octets_of_hex(digest)) return *octets;
    if (auto octets = octets_of_base64(digest)) return *octets;
  }
  return fail(Errc::malformed, "a pin is \"sha256:\" and 64 hex digits, or 44 characters of base64");
}

std::string format_pin(std::string_view octets) {
  std::string out(4 * ((octets.size() + 2) / 3) + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(octets.data()), static_cast<int>(octets.size()));
  out.resize(static_cast<std::size_t>(length));
  return "sha256:" + out;
}

}  // namespace odmr::net
