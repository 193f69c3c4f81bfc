#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/peer_settings.hpp"
#include "app/settings.hpp"
#include "base/log.hpp"
#include "config/document.hpp"
#include "config/secret.hpp"
#include "intake/limits.hpp"
#include "net/tls.hpp"
#include "provider/session.hpp"

namespace odmr::app {

/// [listen.NAME]
struct ListenSettings {
  std::string name;
  std::string address;  ///< "ADDRESS:PORT"
  provider::DoorTls tls = provider::DoorTls::starttls;
  net::TlsServerOptions certificate;
};

/// [intake.NAME]
struct IntakeSettings {
  std::string name;
  std::string address;  ///< "ADDRESS:PORT", of this machine; or the path of a Unix socket
  bool is_lmtp = true;  ///< else SMTP
};

/// [status]
struct StatusSettings {
  std::string address;  ///< "ADDRESS:PORT" on loopback, or the path of a Unix socket; empty: none is wanted
};

/// [customer.NAME.etrn]: where the mail goes that ETRN asks for.
struct EtrnSettings {
  provider::Etrn::To to = provider::Etrn::To::caller;
  std::string host;  ///< or the domain
  std::uint16_t port = 25;
  bool without_login = false;
  TlsSettings tls;
  LoginSettings login;
};

/// [customer.NAME]: the customer, but for its password.
struct CustomerSettings {
  provider::Customer customer;
  std::optional<config::SecretSource> password;
  std::shared_ptr<const sasl::ScramVerifier> verifier = nullptr;  ///< in its place
  std::string recipients_file;
  std::string file;  ///< the one that it stands in
  std::optional<EtrnSettings> etrn;
};

/// [outbound]: the smart host, for what customers send and for what has to be said to senders.
struct SmartHostSettings {
  net::Endpoint endpoint;  ///< a host; or a program that speaks SMTP, without TLS and a login
  TlsSettings tls;
  LoginSettings login;
  std::size_t max_connections = 2;              ///< at once, for notices
  Duration lifetime = std::chrono::hours(120);  ///< of a notice that it puts off
};

/// odmrd.toml
struct DaemonSettings {
  std::string spool;
  std::optional<confine::User> run_as;  ///< whom root becomes
  LogSettings log;
  Duration stop_grace = std::chrono::seconds(10);
  std::uint64_t max_connections = 500;
  std::uint64_t max_connections_per_address = 50;
  provider::SessionOptions session;
  provider::Access access;
  provider::LoginGuard::Options guard;
  intake::Limits limits;
  std::vector<ListenSettings> listeners;
  std::vector<IntakeSettings> intakes;
  std::optional<SmartHostSettings> outbound;
  std::string postmaster;  ///< who is warned of mail that waits; empty: nobody
  StatusSettings status;
  std::string customers_dir;  ///< of files with more customers; it need not be there
  std::vector<CustomerSettings> customers;
  /// The configuration itself, and all that it names: what has to be readable when it is read again.
  std::vector<std::string> files;
};

/// The files of customers_dir.
struct CustomerFiles {
  std::string directory;
  std::vector<config::Document> documents;
};

/// Reads everything; what is wrong is in the documents' faults() afterwards, and the settings are worth nothing then.
/// `files`: null where the document is all that there is.
DaemonSettings read_daemon_settings(config::Document& document, Depth depth, CustomerFiles* files = nullptr);

/// The configuration's path: `named` from --config, $ODMRD_CONFIG, /etc/odmrd/odmrd.toml.
std::string daemon_configuration(const std::string& named);

/// The names of the files in customers_dir that are read, sorted: those that end in ".toml" and do not begin with a
/// dot. None where there is no such directory.
Result<std::vector<std::string>> customer_files_in(const std::string& directory);

/// Finds (daemon_configuration), reads and checks. Errors: every fault, a line each.
tl::expected<DaemonSettings, std::vector<std::string>> load_daemon_settings(const std::string& named, Depth depth);
/// As it would be with this file more in customers_dir, or in place of the one of that name there. Errors: the faults,
/// the file's own among them.
tl::expected<DaemonSettings, std::vector<config::Fault>> daemon_settings_with(const std::string& configuration,
                                                                              const std::string& file_name,
                                                                              const std::string& text);

/// The customers without their passwords: whose a domain is.
provider::Customers customers_without_secrets(const DaemonSettings& settings);
/// The customers as they log in; runs each password_command, but of customers that were there `before`: who is shut in
/// can run none, and they keep their password. Errors: those of config::load, with the customer's name.
Result<provider::Customers> customers_with_secrets(const DaemonSettings& settings,
                                                   const provider::Customers* before = nullptr);

}  // namespace odmr::app
