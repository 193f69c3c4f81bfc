#include "app/provider_settings.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "app/plan.hpp"
#include "app/run_as.hpp"
#include "base/ascii.hpp"
#include "smtp/path.hpp"

namespace odmr::app {

namespace {

using config::Table;
using provider::DoorTls;

void check_certificate(const Table& table, const net::TlsServerOptions& options) {
  if (const auto kept = config::check_secret_file(options.key); !kept) return table.fault("key", kept.error().text);
  const auto context = net::TlsContext::server(options);
  if (!context) table.fault("certificate", context.error().text);
}

ListenSettings read_listener(const Table& table, Depth depth) {
  ListenSettings listen;
  listen.name = table.name();
  listen.address = table.required_text("address", "[::]:366");
  listen.tls = table.choice<DoorTls>(
      "tls", {{"starttls", DoorTls::starttls}, {"implicit", DoorTls::implicit}, {"none", DoorTls::none}},
      DoorTls::starttls);
  listen.certificate.certificate = table.path("certificate").value_or("");
  listen.certificate.key = table.path("key").value_or("");
  listen.certificate.client_ca = table.path("client_ca").value_or("");
  if (listen.tls == DoorTls::none) {
    for (const char* key : {"certificate", "key", "client_ca"}) {
      if (table.has(key)) table.fault(key, "is of no use with tls = \"none\"; leave it out, or use \"starttls\"");
    }
    return listen;
  }
  for (const char* key : {"certificate", "key"}) {
    if (!table.has(key))
      table.fault(key, "missing; TLS needs both, such as " + std::string(key) + " = \"/etc/odmrd/" + key + ".pem\"");
  }
  const bool is_whole = !listen.certificate.certificate.empty() && !listen.certificate.key.empty();
  if (is_whole && depth == Depth::files) check_certificate(table, listen.certificate);
  return listen;
}

// Whoever can connect there puts mail into the spool without a question.
bool is_of_this_machine(const std::string& address) {
  return address.starts_with('/') || address.starts_with("127.") || address.starts_with("[::1]:");
}

IntakeSettings read_intake(const Table& table) {
  IntakeSettings intake;
  intake.name = table.name();
  intake.address = table.required_text("address", "/run/odmrd/lmtp");
  intake.is_lmtp = table.choice<bool>("protocol", {{"lmtp", true}, {"smtp", false}}, true);
  if (!intake.address.empty() && !is_of_this_machine(intake.address)) {
    table.fault("address", "\"" + escape(intake.address) +
                               "\" is no address of this machine alone; name a Unix socket, such as "
                               "\"/run/odmrd/lmtp\", or one on loopback, such as \"127.0.0.1:24\"");
  }
  return intake;
}

StatusSettings read_status(const Table& table) {
  StatusSettings status;
  status.address = table.text("address", "");
  if (table.is_there() && !table.has("address"))
    table.fault("address", "missing; such as address = \"127.0.0.1:8366\", or a Unix socket's path");
  if (!status.address.empty() && !is_of_this_machine(status.address)) {
    table.fault("address",
                "\"" + escape(status.address) +
                    "\" is no address of this machine alone, and nobody logs in there; name one on loopback, "
                    "such as \"127.0.0.1:8366\", or a Unix socket, and let a web server that asks for a "
                    "password pass it on");
  }
  return status;
}

provider::Domains read_domains(const Table& table) {
  provider::Domains domains;
  const auto written = table.texts("domains");
  if (!table.has("domains")) table.fault("domains", "missing; such as domains = [\"example.org\"]");
  if (written && written->empty()) table.fault("domains", "is empty; name the domains whose mail is held");
  for (const auto& one : written.value_or(std::vector<std::string>())) {
    const auto domain = smtp::canonical_domain(one);
    if (!domain) {
      table.fault("domains", "\"" + one + "\" is no domain: " + domain.error().text);
    } else if (domain->find('.') == std::string::npos) {
      // RFC 2645 5.2.1: a domain of ATRN has two labels at least.
      table.fault("domains", "\"" + one + "\" has a single label, which ATRN cannot carry; write it in full");
    } else {
      if (!domains.insert(*domain).second)
        table.fault("domains", "the domain \"" + escape(*domain) + "\" is there twice; leave one out");
    }
  }
  return domains;
}

// One entry a line; what follows "#" is for people.
Result<void> read_recipients_file(const std::string& path, provider::KnownRecipients& known) {
  std::ifstream file(path);
  if (!file) return fail(system_error(errno, path));
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    const auto text = trim(std::string_view(line).substr(0, line.find('#')));
    if (text.empty()) continue;
    if (auto added = known.add(text); !added)
      return fail(Errc::malformed, path + ":" + std::to_string(number) + ": " + added.error().text);
  }
  if (file.bad()) return fail(Errc::io, path + ": cannot be read");
  return {};
}

std::shared_ptr<const provider::KnownRecipients> read_recipients(const Table& table,
                                                                 const std::optional<std::string>& file, Depth depth) {
  const auto listed = table.texts("recipients", {});
  const std::string delimiter = table.text("recipient_delimiter", "+");
  if (!file && !table.has("recipients")) return nullptr;
  auto known = std::make_shared<provider::KnownRecipients>();
  known->set_delimiter(delimiter);
  for (const auto& one : listed) {
    if (const auto added = known->add(one); !added) table.fault("recipients", added.error().text);
  }
  if (file && depth == Depth::files) {
    if (const auto read = read_recipients_file(*file, *known); !read) table.fault("recipients_file", read.error().text);
  }
  return known;
}

net::Networks read_networks(const Table& table, const char* key) {
  net::Networks networks;
  for (const auto& one : table.texts(key, {})) {
    if (const auto added = networks.add(one); !added) table.fault(key, added.error().text);
  }
  return networks;
}

void read_access(const Table& table, DaemonSettings& settings) {
  settings.access.allow = read_networks(table, "allow");
  settings.access.ignore = read_networks(table, "ignore");
  settings.guard.most_failures = static_cast<std::size_t>(table.integer("max_failures", 10, {1, 1'000'000}));
  settings.guard.lockout = table.duration("lockout", settings.guard.lockout);
}

void read_atrn(const Table& table, provider::Customer& customer) {
  customer.atrn = table.boolean("atrn", true);
  customer.from = read_networks(table, "allow");
  customer.one_atrn_at_a_time = table.boolean("one_atrn_at_a_time", true);
  customer.atrn_interval =
      table.duration("atrn_interval", Duration::zero(), {Duration::zero(), std::chrono::hours(24)});
  // RFC 2645 5.2.1: the customer waits for ten minutes at least, and need not wait longer.
  customer.hold = table.duration("hold", std::chrono::minutes(9), {Duration::zero(), std::chrono::minutes(10)});
  customer.holds_all = table.boolean("hold_all", false);
  customer.keep = table.duration("keep", std::chrono::minutes(9), {Duration::zero(), std::chrono::hours(1)});
}

// Mail of the customer's own.
void read_outbound_of(const Table& table, const DaemonSettings& settings, provider::Customer& customer) {
  customer.outbound = table.boolean("outbound", false);
  customer.outbound_limit = static_cast<std::uint64_t>(table.integer("outbound_limit", 500, {1, 1'000'000'000}));
  if (customer.outbound && !settings.outbound)
    table.fault("outbound", "there is no [outbound] with a smart host that the mail could go to");
  if (!customer.outbound && table.has("outbound_limit"))
    table.fault("outbound_limit", "this customer's mail is not taken; add outbound = true, or leave it out");
}

// "caller"; a domain, whose MX is asked for; or a host: in brackets, as mail servers write it, or an address.
void read_etrn_to(const Table& table, EtrnSettings& etrn) {
  using To = provider::Etrn::To;
  const std::string to = table.text("to", "caller");
  if (to == "caller") return;
  const bool is_bracketed = to.size() > 2 && to.starts_with('[') && to.ends_with(']');
  etrn.host = is_bracketed ? to.substr(1, to.size() - 2) : to;
  etrn.to = is_bracketed || net::ip_version_of(etrn.host) ? To::host : To::domain;
  if (net::ip_version_of(etrn.host)) return;
  const auto domain = smtp::canonical_domain(etrn.host);
  if (!domain) {
    table.fault("to", "\"" + escape(to) +
                          "\" is neither \"caller\", nor a domain, nor a host: write a domain to use its MX, "
                          "\"[HOST]\" or an address to go there; the port goes into port");
    return;
  }
  etrn.host = *domain;
}

std::optional<EtrnSettings> read_etrn(const Table& table, Depth depth) {
  if (!table.is_there()) return std::nullopt;
  EtrnSettings etrn;
  read_etrn_to(table, etrn);
  etrn.port = read_port(table, 25);
  etrn.without_login = table.boolean("without_login", false);
  etrn.tls = read_tls(table, client::TlsPolicy::starttls, depth);
  etrn.login = read_login(table, depth);
  check_login(table, etrn.login, etrn.tls);
  // Anybody would get the mail by asking for it.
  if (etrn.without_login && etrn.to == provider::Etrn::To::caller)
    table.fault("without_login", "whoever asks would be sent the mail; name in to where it goes");
  return etrn;
}

constexpr Duration k_longest_wait = std::chrono::hours(24 * 3650);

// How long its mail waits, and who is told. Without a way out nobody can be.
void read_waiting(const Table& table, const DaemonSettings& settings, provider::Customer& customer) {
  const Duration otherwise = settings.outbound ? std::chrono::hours(24 * 30) : std::chrono::hours(0);
  const Duration lifetime = table.duration("lifetime", otherwise, {Duration::zero(), k_longest_wait});
  const Duration warn_after = table.duration("warn_after", Duration::zero(), {Duration::zero(), k_longest_wait});
  if (lifetime > Duration::zero()) customer.lifetime = lifetime;
  if (warn_after > Duration::zero()) customer.warn_after = warn_after;
  if (customer.lifetime && !settings.outbound)
    table.fault("lifetime", "there is no [outbound], so nobody could be told that mail was not fetched");
  if (customer.warn_after && settings.postmaster.empty())
    table.fault("warn_after",
                "nobody is there to be warned; write postmaster = \"postmaster@example.net\" above all tables");
  if (customer.warn_after && customer.lifetime && *customer.warn_after >= *customer.lifetime)
    table.fault("warn_after", "comes after the end of lifetime; make it shorter");
}

std::string read_postmaster(const Table& root, const DaemonSettings& settings) {
  const auto address = root.text("postmaster");
  if (!address) return {};
  const auto mailbox = smtp::parse_mailbox(*address);
  if (!mailbox) root.fault("postmaster", "\"" + escape(*address) + "\" is no address: " + mailbox.error().text);
  if (!settings.outbound) root.fault("postmaster", "there is no [outbound] by which anything could be sent there");
  return *address;
}

Result<void> can_be_run(const std::string& program) {
  std::error_code unknown;
  if (std::filesystem::is_directory(program, unknown)) return fail(system_error(EISDIR, program));
  if (::access(program.c_str(), X_OK) != 0) return fail(system_error(errno, program));
  return {};
}

// The words of a program, as they are: no shell takes part.
std::vector<std::string> read_program(const Table& table, const char* key, Depth depth) {
  const auto words = table.texts(key);
  if (!words) return {};
  const std::string wanted = std::string("write ") + key + " = [\"/usr/sbin/sendmail\", \"-bs\"]";
  if (words->empty()) {
    table.fault(key, "is empty; " + wanted);
  } else if (!words->front().starts_with('/')) {
    table.fault(
        key, "\"" + escape(words->front()) + "\" does not begin with a slash; the program is named in full: " + wanted);
  } else if (words->front().ends_with("/sendmail") && !std::count(words->begin(), words->end(), "-bs")) {
    table.fault(key, "without \"-bs\" sendmail speaks no SMTP; " + wanted);
  } else if (depth == Depth::files) {
    const auto runs = can_be_run(words->front());
    if (!runs) table.fault(key, runs.error().text + "; name the program that is there, or send by to");
  }
  return *words;
}

// One of the two, and nothing that means nothing with it.
void check_way_out(const Table& table) {
  const bool has_program = table.has("sendmail");
  if (!has_program && !table.has("to")) {
    table.fault("to", "missing; write to = \"smtp://127.0.0.1:25\", or sendmail = [\"/usr/sbin/sendmail\", \"-bs\"]");
  }
  if (!has_program) return;
  if (table.has("to")) table.fault("sendmail", "'to' is there, too; leave one out");
  for (const char* key : {"tls", "ca_file", "pin", "client_certificate", "client_key", "user", "password_file",
                          "password_command", "password_credential", "password", "auth"}) {
    if (table.has(key))
      table.fault(key,
                  "means nothing with 'sendmail', which is spoken to in clear text and without a login; leave it out");
  }
}

std::optional<SmartHostSettings> read_outbound(const Table& table, Depth depth) {
  if (!table.is_there()) return std::nullopt;
  SmartHostSettings outbound;
  check_way_out(table);
  const auto to = table.text("to");
  outbound.tls = read_tls(table, client::TlsPolicy::starttls, depth);
  if (const auto endpoint = to ? read_smart_host(table, *to, outbound.tls, "") : std::nullopt)
    outbound.endpoint = *endpoint;
  outbound.login = read_login(table, depth);
  check_login(table, outbound.login, outbound.tls);
  outbound.endpoint.program = read_program(table, "sendmail", depth);
  if (!outbound.endpoint.program.empty()) outbound.tls.policy = client::TlsPolicy::none;
  outbound.max_connections = static_cast<std::size_t>(table.integer("max_connections", 2, {1, 10}));
  outbound.lifetime = table.duration("lifetime", outbound.lifetime);
  return outbound;
}

void require_login(const Table& table) {
  if (table.has("certificate_names")) return;
  for (const char* key : {"password_file", "password_command", "password_credential", "password", "scram_verifier"}) {
    if (table.has(key)) return;
  }
  table.fault("password_file",
              "missing; name the file that holds the ATRN password (or use password_command, "
              "password_credential, scram_verifier, or certificate_names)");
}

std::shared_ptr<const sasl::ScramVerifier> read_verifier(const Table& table) {
  const auto text = table.text("scram_verifier");
  if (!text) return nullptr;
  config::refuse_readable(table, "scram_verifier");
  for (const char* key : {"password_file", "password_command", "password_credential", "password"}) {
    if (table.has(key)) table.fault("scram_verifier", "'" + std::string(key) + "' is there, too; leave one out");
  }
  auto verifier = sasl::parse_verifier(*text);
  if (!verifier) {
    table.fault("scram_verifier", verifier.error().text + ", as odmrd customer password makes it");
    return nullptr;
  }
  return std::make_shared<const sasl::ScramVerifier>(std::move(*verifier));
}

CustomerSettings read_customer(const Table& table, const DaemonSettings& daemon, Depth depth) {
  CustomerSettings settings;
  auto& customer = settings.customer;
  customer.name = table.name();
  customer.user = table.required_text("user", "example.org");
  settings.password = config::read_secret_source(table);
  customer.certificate_names = table.texts("certificate_names", {});
  customer.domains = read_domains(table);
  customer.quota = table.size("quota", 0);
  const auto recipients_file = table.path("recipients_file");
  customer.recipients = read_recipients(table, recipients_file, depth);
  customer.uploads_recipients = table.boolean("recipients_upload", false);
  customer.recipient_delimiter = table.text("recipient_delimiter", "+");
  settings.recipients_file = recipients_file.value_or("");
  settings.file = table.file();
  read_atrn(table, customer);
  settings.etrn = read_etrn(table.table("etrn"), depth);
  read_waiting(table, daemon, customer);
  read_outbound_of(table, daemon, customer);
  settings.verifier = read_verifier(table);
  if (!settings.password) require_login(table);
  if (settings.password && depth == Depth::files) {
    const auto readable = config::verify(*settings.password);
    const bool is_file = table.has("password_file");
    if (!readable) table.fault(is_file ? "password_file" : "password_credential", readable.error().text);
  }
  return settings;
}

// A domain, a user, or a certificate's name stands for one customer alone.
class Owners {
 public:
  Owners(const char* key, const char* what) : key_(key), what_(what) {}

  /// Whose it is; empty: nobody's.
  std::string of(const std::string& value) const {
    const auto owner = owners_.find(value);
    return owner == owners_.end() ? std::string() : owner->second;
  }

  void take(const Table& table, const std::string& value) {
    const auto [owner, is_new] = owners_.emplace(value, table.name());
    if (is_new) return;
    const bool is_same = owner->second == table.name();
    table.fault(key_, std::string(what_) + " \"" + escape(value) + "\" is " +
                          (is_same ? "there twice" : "also that of [customer." + owner->second + "]") +
                          "; leave one out");
  }

 private:
  const char* key_;
  const char* what_;
  std::map<std::string, std::string> owners_;
};

bool is_directory(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

// Of all files; each name once.
std::vector<Table> customer_tables(const Table& root, CustomerFiles* files, const DaemonSettings& settings) {
  auto tables = root.tables("customer");
  // Where there is a directory for them, the last one may have gone.
  if (tables.empty() && (files == nullptr || (files->documents.empty() && !is_directory(files->directory)))) {
    root.fault("customer",
               "missing; there has to be one [customer.NAME] at least, which odmrd customer add makes, too");
  }
  if (files == nullptr) return tables;
  std::map<std::string, std::string> file_of;
  for (const auto& table : tables) file_of.emplace(table.name(), table.file());
  for (auto& document : files->documents) {
    for (const auto& table : document.root().tables("customer")) {
      const auto [first, is_new] = file_of.emplace(table.name(), table.file());
      if (is_new) {
        tables.push_back(table);
        continue;
      }
      static_cast<void>(read_customer(table, settings, Depth::keys));
      table.fault("user",
                  "[customer." + escape(table.name()) + "] is also in " + escape(first->second) + "; leave one out");
    }
  }
  return tables;
}

void read_customers(const std::vector<Table>& tables, DaemonSettings& settings, Depth depth) {
  const bool asks_for_certificates =
      std::any_of(settings.listeners.begin(), settings.listeners.end(),
                  [](const ListenSettings& one) { return !one.certificate.client_ca.empty(); });
  Owners of_domains("domains", "the domain");
  Owners of_users("user", "the user");
  Owners of_names("certificate_names", "the name");
  for (const auto& table : tables) {
    settings.customers.push_back(read_customer(table, settings, depth));
    const auto& customer = settings.customers.back().customer;
    for (const auto& domain : customer.domains) of_domains.take(table, domain);
    for (const auto& name : customer.certificate_names) of_names.take(table, lower(name));
    if (const auto domain = smtp::canonical_domain(customer.user); !customer.user.empty())
      of_users.take(table, domain ? *domain : customer.user);
    if (!customer.certificate_names.empty() && !asks_for_certificates) {
      table.fault("certificate_names", "no [listen.NAME] has a client_ca, so nobody can show a certificate");
    }
  }
  // A customer logs in by its user or by any of its domains.
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const auto domain = smtp::canonical_domain(settings.customers[i].customer.user);
    const auto owner = domain ? of_domains.of(*domain) : std::string();
    if (owner.empty() || owner == tables[i].name()) continue;
    tables[i].fault("user", "\"" + escape(*domain) + "\" is a domain of [customer." + owner +
                                "], which logs in by it, too; choose another");
  }
}

std::vector<std::string> files_of(const DaemonSettings& settings, const std::string& configuration) {
  std::vector<std::string> files{configuration};
  for (const auto& one : settings.listeners) {
    for (const auto* file : {&one.certificate.certificate, &one.certificate.key, &one.certificate.client_ca})
      files.push_back(*file);
  }
  const auto add_secret = [&files](const std::optional<config::SecretSource>& secret) {
    const auto* file = secret ? std::get_if<config::SecretSource::File>(&secret->from) : nullptr;
    if (file != nullptr) files.push_back(file->path);
  };
  const auto add_peer = [&files, &add_secret](const TlsSettings& tls, const LoginSettings& login) {
    for (const auto* file : {&tls.ca_file, &tls.client_certificate, &tls.client_key}) files.push_back(*file);
    add_secret(login.password);
  };
  for (const auto& one : settings.customers) {
    files.push_back(one.file);
    files.push_back(one.recipients_file);
    add_secret(one.password);
    if (one.etrn) add_peer(one.etrn->tls, one.etrn->login);
  }
  if (settings.outbound) add_peer(settings.outbound->tls, settings.outbound->login);
  std::erase(files, std::string());
  return files;
}

void read_timeouts(const Table& table, provider::SessionOptions& session) {
  session.login = table.duration("login", session.login);
  session.command = table.duration("command", session.command);
  session.data = table.duration("data", session.data);
  session.final = table.duration("final", session.final);
  session.silence = table.duration("silence", session.silence);
}

// Beside the configuration, unless it says otherwise.
std::string customers_dir_in(const Table& root) {
  const auto beside = std::filesystem::path(root.file()).parent_path() / "customers.d";
  return root.path("customers_dir").value_or(beside.string());
}

using Faults = std::vector<config::Fault>;

// A file that is about to be there.
struct Draft {
  std::string name;
  const std::string* text = nullptr;
};

// Those that can be read; of the others the faults.
CustomerFiles load_customers(const Table& root, const Draft& draft, Faults& faults) {
  CustomerFiles files{customers_dir_in(root), {}};
  auto names = customer_files_in(files.directory);
  const bool is_missing = draft.text == nullptr && root.has("customers_dir") && !is_directory(files.directory);
  if (!names || is_missing) {
    root.fault("customers_dir",
               names ? "there is no directory " + files.directory + "; make it, with mode 0750" : names.error().text);
    return files;
  }
  if (draft.text != nullptr && !std::count(names->begin(), names->end(), draft.name)) names->push_back(draft.name);
  for (const auto& name : *names) {
    const std::string path = files.directory + "/" + name;
    const bool is_draft = draft.text != nullptr && name == draft.name;
    auto document = is_draft ? config::Document::parse(*draft.text, path) : config::Document::load(path);
    if (document)
      files.documents.push_back(std::move(*document));
    else
      faults.push_back(document.error());
  }
  return files;
}

tl::expected<DaemonSettings, Faults> load(const std::string& configuration, Depth depth, const Draft& draft) {
  auto document = config::Document::load(configuration);
  if (!document) return tl::unexpected(Faults{document.error()});
  Faults faults;
  auto customers = load_customers(document->root(), draft, faults);
  auto settings = read_daemon_settings(*document, depth, &customers);
  settings.files = files_of(settings, configuration);
  const auto add = [&faults](const Faults& more) { faults.insert(faults.end(), more.begin(), more.end()); };
  add(document->faults());
  for (const auto& one : customers.documents) add(one.faults());
  if (!faults.empty()) return tl::unexpected(std::move(faults));
  return settings;
}

}  // namespace

std::string daemon_configuration(const std::string& named) {
  if (!named.empty()) return named;
  const char* given = std::getenv("ODMRD_CONFIG");
  return given != nullptr && *given != '\0' ? given : "/etc/odmrd/odmrd.toml";
}

Result<std::vector<std::string>> customer_files_in(const std::string& directory) {
  const auto dir = system_files().open_dir(directory);
  if (!dir && dir.error().code == Errc::not_found) return std::vector<std::string>();
  if (!dir) return fail(dir.error());
  auto names = system_files().list(dir->get());
  if (!names) return fail(names.error());
  std::erase_if(*names, [](const std::string& name) { return name.starts_with('.') || !name.ends_with(".toml"); });
  return names;
}

DaemonSettings read_daemon_settings(config::Document& document, Depth depth, CustomerFiles* files) {
  const Table root = document.root();
  DaemonSettings settings;
  settings.spool = root.path("spool").value_or("/var/spool/odmrd");
  settings.run_as = read_run_as(root);
  settings.session.hostname = root.text("hostname", default_hostname());
  if (!smtp::is_ehlo_name(settings.session.hostname)) {
    root.fault("hostname", "\"" + settings.session.hostname +
                               "\" is no host name; give a full one, such as hostname = \"odmr.example.net\"");
  }
  settings.stop_grace = root.duration("stop_grace", settings.stop_grace, {Duration::zero(), std::chrono::hours(24)});
  settings.max_connections_per_address =
      static_cast<std::uint64_t>(root.integer("max_connections_per_address", 50, {1, 1'000'000}));
  settings.max_connections = static_cast<std::uint64_t>(root.integer("max_connections", 500, {1, 1'000'000}));
  settings.log = read_log(root.table("log"));
  read_timeouts(root.table("timeouts"), settings.session);
  read_access(root.table("access"), settings);
  const auto listeners = root.tables("listen");
  if (listeners.empty()) root.fault("listen", "missing; there has to be one [listen.NAME] at least");
  for (const auto& table : listeners) settings.listeners.push_back(read_listener(table, depth));
  for (const auto& table : root.tables("intake")) settings.intakes.push_back(read_intake(table));
  settings.status = read_status(root.table("status"));
  const Table limits = root.table("limits");
  settings.limits.max_size = limits.size("max_message_size", std::uint64_t{50} * 1024 * 1024);
  settings.limits.max_hops = static_cast<std::size_t>(limits.integer("max_hops", 100, {1, 10'000}));
  settings.outbound = read_outbound(root.table("outbound"), depth);
  settings.postmaster = read_postmaster(root, settings);
  settings.customers_dir = files == nullptr ? customers_dir_in(root) : files->directory;
  read_customers(customer_tables(root, files, settings), settings, depth);
  return settings;
}

tl::expected<DaemonSettings, std::vector<std::string>> load_daemon_settings(const std::string& named, Depth depth) {
  auto settings = load(daemon_configuration(named), depth, {});
  if (settings) return std::move(*settings);
  std::vector<std::string> faults;
  for (const auto& fault : settings.error()) faults.push_back(fault.render());
  return tl::unexpected(std::move(faults));
}

tl::expected<DaemonSettings, std::vector<config::Fault>> daemon_settings_with(const std::string& configuration,
                                                                              const std::string& file_name,
                                                                              const std::string& text) {
  return load(configuration, Depth::keys, {file_name, &text});
}

provider::Customers customers_without_secrets(const DaemonSettings& settings) {
  std::vector<provider::Account> accounts;
  for (const auto& one : settings.customers) accounts.push_back({one.customer, Secret()});
  return provider::Customers(std::move(accounts));
}

namespace {

// No value: there is none to keep.
std::optional<Secret> kept_password(const CustomerSettings& settings, const provider::Customers* before) {
  const bool is_by_command = std::holds_alternative<config::SecretSource::Command>(settings.password->from);
  if (before == nullptr || !is_by_command) return std::nullopt;
  const auto& all = before->all();
  const auto same = std::find_if(all.begin(), all.end(), [&](const provider::Account& one) {
    return one.customer.name == settings.customer.name && !one.password.empty();
  });
  if (same == all.end()) return std::nullopt;
  return Secret(same->password.text());
}

// TLS and login of the deliveries that ETRN asks for.
Result<std::shared_ptr<const provider::Etrn>> etrn_of(const CustomerSettings& settings, const std::string& hostname,
                                                      const provider::Customers* before) {
  if (!settings.etrn) return std::shared_ptr<const provider::Etrn>();
  const auto& etrn = *settings.etrn;
  net::Endpoint endpoint;
  endpoint.host = etrn.host;
  endpoint.port = etrn.port;
  Manners manners;
  manners.hostname = hostname;
  const auto* const same = before == nullptr ? nullptr : before->with_name(settings.customer.name);
  const bool keeps_login = same != nullptr && same->etrn && is_by_command(etrn.login);
  Keyring keyring;
  auto server = server_of(manners, endpoint, etrn.tls, keeps_login ? LoginSettings() : etrn.login, keyring);
  if (!server) return fail(server.error());
  if (keeps_login) server->login = same->etrn->server.login;
  return std::make_shared<const provider::Etrn>(provider::Etrn{etrn.to, std::move(*server), etrn.without_login});
}

}  // namespace

Result<provider::Customers> customers_with_secrets(const DaemonSettings& settings, const provider::Customers* before) {
  std::vector<provider::Account> accounts;
  for (const auto& one : settings.customers) {
    accounts.push_back({one.customer, Secret(), one.verifier});
    auto etrn = etrn_of(one, settings.session.hostname, before);
    if (!etrn) return fail(etrn.error().code, "customer." + one.customer.name + ".etrn: " + etrn.error().text);
    accounts.back().customer.etrn = std::move(*etrn);
    if (!one.password) continue;
    if (auto kept = kept_password(one, before)) {
      accounts.back().password = std::move(*kept);
      continue;
    }
    auto password = config::load(*one.password);
    if (!password) return fail(password.error().code, "customer." + one.customer.name + ": " + password.error().text);
    accounts.back().password = std::move(*password);
  }
  provider::Customers customers(std::move(accounts));
  if (before != nullptr) customers.use_salting_key(before->shared_salting_key());
  return customers;
}

}  // namespace odmr::app
