#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "net/certificate.hpp"

namespace odmr::net {

/// Where a client keeps what a server has given it to take a session up again by (RFC 8446 2.2): the certificate does
/// not come over the line then, and nobody has to verify it. As secret as a password.
class TlsTickets {
 public:
  virtual ~TlsTickets() = default;
  /// The last one, which is not there any more then: who uses one twice can be told apart on the line (RFC 8446 C.4).
  /// Empty where there is none.
  virtual std::string take() = 0;
  /// In the place of the one that is there.
  virtual void keep(std::string_view ticket) = 0;
};

/// What we demand of a server, and what we show it. TLS 1.2 or later always.
struct TlsClientOptions {
  std::string ca_file;             ///< empty: the system's trust store
  std::vector<std::string> pins;   ///< SHA-256 of acceptable public keys (SPKI), 32 raw octets each
  std::string client_certificate;  ///< PEM file, empty without
  std::string client_key;          ///< PEM file
  /// Null: each session begins anew. A ticket of another configuration (other pins, trust or certificate) is not used,
  /// nor one whose certificate we would not accept for this name today, nor one older than a day.
  std::shared_ptr<TlsTickets> tickets = nullptr;
};

/// What a server shows, and demands.
struct TlsServerOptions {
  std::string certificate;  ///< PEM file, with its chain
  std::string key;          ///< PEM file
  std::string client_ca;    ///< PEM file: clients may show a certificate by one of these; empty: none asked for
};

/// Facts about an established TLS layer.
struct TlsFacts {
  std::string version;                     ///< "TLSv1.3"
  std::string cipher;                      ///< "TLS_AES_256_GCM_SHA384"
  std::string exporter;                    ///< tls-exporter channel binding (RFC 9266), 32 octets; empty before TLS 1.3
  std::string peer_pin;                    ///< SHA-256 of the peer's SPKI, 32 octets; empty without a certificate
  std::vector<std::string> peer_names;     ///< DNS names and mail addresses of a verified peer certificate
  std::string peer_common_name;            ///< of its subject
  std::optional<Certificate> certificate;  ///< what a server has shown to us, now or when the session first began
  bool is_resumed = false;                 ///< by a ticket
};

/// A configuration that TLS layers are made from. Loading reads files: do it before anything is sent.
class TlsContext {
 public:
  static Result<std::shared_ptr<TlsContext>> client(const TlsClientOptions& options);
  static Result<std::shared_ptr<TlsContext>> server(const TlsServerOptions& options);

  /// How a client knows the server: "chain", "pin" or "chain and pin".
  std::string verification() const;

  class Impl;  // of OpenSSL, known to tls.cpp and tls_transport.cpp
  explicit TlsContext(std::unique_ptr<Impl> impl);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// Where the system's trust store is, and is looked at when a certificate is verified: hashed directories.
std::vector<std::string> trust_directories();

/// A pin as the configuration writes it: "sha256:" and 64 hex digits or base64 of 32 octets. Gives the 32 octets.
Result<std::string> parse_pin(std::string_view text);
/// "sha256:BASE64".
std::string format_pin(std::string_view octets);

}  // namespace odmr::net
