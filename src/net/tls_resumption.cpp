#include "net/tls_resumption.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <ctime>
#include <memory>

#include "net/digest.hpp"

namespace odmr::net {

namespace {

constexpr std::size_t k_digest = 32;
constexpr std::time_t k_longest = 24 * 60 * 60;
constexpr std::size_t k_largest = 64 * 1024;  // of a ticket with its certificate

// That it was changed, if not how.
std::string state_of(const std::string& path) {
  struct stat status {};
  if (path.empty() || ::stat(path.c_str(), &status) != 0) return path + "\n";
  const auto& changed = status.st_mtim;
  return path + " " + std::to_string(status.st_ino) + " " + std::to_string(status.st_size) + " " +
         std::to_string(changed.tv_sec) + "." + std::to_string(changed.tv_nsec) + "\n";
}

TlsContext::Impl& context_of(SSL* ssl) {
  return *static_cast<TlsContext::Impl*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
}

// Gives whether the session stays in use: it does not.
int keep_ticket(SSL* ssl, SSL_SESSION* session) {
  const TlsContext::Impl& context = context_of(ssl);
  // Before TLS 1.3 the secret of the session itself would be on disk; here it is one that is derived for the next.
  const bool is_wanted = SSL_SESSION_get_protocol_version(session) >= TLS1_3_VERSION &&
                         SSL_SESSION_is_resumable(session) == 1 && SSL_get_verify_result(ssl) == X509_V_OK;
  const int size = is_wanted ? i2d_SSL_SESSION(session, nullptr) : 0;
  if (size <= 0 || static_cast<std::size_t>(size) > k_largest) return 0;
  std::string ticket = context.demands;
  ticket.resize(k_digest + static_cast<std::size_t>(size));
  auto* place = reinterpret_cast<unsigned char*>(ticket.data() + k_digest);
  i2d_SSL_SESSION(session, &place);
  context.tickets->keep(ticket);
  return 0;
}

bool is_recent(const SSL_SESSION* session) {
  const std::time_t age = std::time(nullptr) - static_cast<std::time_t>(SSL_SESSION_get_time(session));
  return age >= 0 && age <= k_longest;
}

// What verify_server() would see in the certificate itself; the rest of its chain was in order a day ago.
bool is_acceptable(const TlsContext::Impl& context, SSL* ssl, SSL_SESSION* session, const std::string& name) {
  X509* certificate = SSL_SESSION_get0_peer(session);
  if (certificate == nullptr) return false;
  if (!context.pins.empty() && !is_pinned(context, certificate)) return false;
  if (context.pins_alone) return true;
  const unsigned flags = X509_VERIFY_PARAM_get_hostflags(SSL_get0_param(ssl));
  const bool is_named = X509_check_ip_asc(certificate, name.c_str(), 0) == 1 ||
                        X509_check_host(certificate, name.c_str(), name.size(), flags, nullptr) == 1;
  return is_named && X509_cmp_current_time(X509_get0_notBefore(certificate)) < 0 &&
         X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0;
}

}  // namespace

std::string digest_of_demands(const TlsClientOptions& options) {
  std::string all = state_of(options.client_certificate);
  for (const auto& pin : options.pins) all += hex(pin) + "\n";
  all += state_of(options.ca_file);
  if (options.ca_file.empty()) {
    for (const auto& directory : trust_directories()) all += state_of(directory);
  }
  return sha256(all);
}

void keep_tickets(TlsContext::Impl& context) {
  SSL_CTX_set_app_data(context.get(), &context);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context.get(), keep_ticket);
}

void offer_ticket(SSL* ssl, TlsContext::Impl& context, const std::string& name) {
  const std::string ticket = context.tickets->take();
  if (ticket.size() <= k_digest || ticket.compare(0, k_digest, context.demands) != 0) return;
  const auto* place = reinterpret_cast<const unsigned char*>(ticket.data() + k_digest);
  const std::unique_ptr<SSL_SESSION, void (*)(SSL_SESSION*)> session(
      d2i_SSL_SESSION(nullptr, &place, static_cast<long>(ticket.size() - k_digest)), SSL_SESSION_free);
  if (session && is_recent(session.get()) && is_acceptable(context, ssl, session.get(), name)) {
    SSL_set_session(ssl, session.get());
  }
  ERR_clear_error();
}

}  // namespace odmr::net
