#pragma once

#include <openssl/ssl.h>

#include <string>
#include <vector>

#include "net/tls.hpp"

namespace odmr::net {

/// OpenSSL's context with what our verification needs beside it.
class TlsContext::Impl {
 public:
  explicit Impl(SSL_CTX* context) : context_(context) {}
  ~Impl() { SSL_CTX_free(context_); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  SSL_CTX* get() const { return context_; }

  std::vector<std::string> pins;
  bool pins_alone = false;  // in place of chain and name
  std::shared_ptr<TlsTickets> tickets;
  std::string demands;  // digest of all that decides whether a server is trusted; 32 octets

 private:
  SSL_CTX* context_;
};

/// SHA-256 of the certificate's public key (SPKI), empty for none.
std::string public_key_pin(X509* certificate);
/// Whether that is one of the pins.
bool is_pinned(const TlsContext::Impl& context, X509* certificate);
/// What OpenSSL's error queue has to say, emptied; `otherwise` when it says nothing.
std::string openssl_words(const std::string& otherwise);
/// DNS names, addresses and mail addresses in subjectAltName; entries with a NUL inside are left out (CVE-2009-2666).
std::vector<std::string> names_of(X509* certificate);
/// The subject's common name, empty without.
std::string common_name_of(X509* certificate);
/// All that people may want to know of it.
Certificate facts_of(X509* certificate);

}  // namespace odmr::net
