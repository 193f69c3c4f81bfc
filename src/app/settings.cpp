#include "app/settings.hpp"

#include <algorithm>
#include <set>

#include "app/host_port.hpp"
#include "app/places.hpp"
#include "app/remedy.hpp"
#include "app/run_as.hpp"
#include "base/ascii.hpp"
#include "smtp/command.hpp"
#include "smtp/path.hpp"

namespace odmr::app {

namespace {

using client::TlsPolicy;
using config::Table;
using Kind = deliver::TargetOptions::Kind;

// The host of "ADDRESS:PORT", where port 0 lets the system choose.
std::optional<std::string> split_listen(const std::string& text) {
  const bool is_any = text.size() > 2 && text.substr(text.size() - 2) == ":0";
  const auto where = split_host_port(is_any ? text.substr(0, text.size() - 2) : text);
  if (!where || (!is_any && !where->port)) return std::nullopt;
  return where->host;
}

constexpr std::size_t k_longest_signal = 4096;
constexpr const char* k_target_forms =
    "a target is smtp://HOST[:PORT], lmtp://HOST:PORT, lmtp:///SOCKET or maildir:///DIR";

bool take_network_target(std::string_view rest, Kind kind, DeliverSettings& deliver) {
  deliver.kind = kind;
  if (kind == Kind::lmtp && !rest.empty() && rest.front() == '/') {
    deliver.endpoint.socket_path = rest;
    return rest.size() > 1;
  }
  const auto where = split_host_port(rest);
  if (!where) return false;
  // LMTP has no port of its own, and must not be on 25 (RFC 2033 5).
  if (kind == Kind::lmtp && (!where->port || *where->port == 25)) return false;
  deliver.endpoint.host = where->host;
  deliver.endpoint.port = where->port.value_or(25);
  return true;
}

void read_target(const Table& table, DeliverSettings& deliver) {
  const auto to = table.required_text("to", "lmtp:///run/dovecot/lmtp");
  if (to.empty()) return;
  const std::string_view text = to;
  bool good = false;
  if (text.substr(0, 7) == "smtp://") good = take_network_target(text.substr(7), Kind::smtp, deliver);
  if (text.substr(0, 7) == "lmtp://") good = take_network_target(text.substr(7), Kind::lmtp, deliver);
  if (text.substr(0, 10) == "maildir://") {
    deliver.kind = Kind::maildir;
    deliver.directory = text.substr(10);
    good = deliver.directory.size() > 1 && deliver.directory.front() == '/';
  }
  if (!good) table.fault("to", "\"" + to + "\" is no target; " + k_target_forms);
}

DeliverSettings read_deliver(const Table& table) {
  DeliverSettings deliver;
  read_target(table, deliver);
  deliver.tls = read_tls(table, TlsPolicy::none);
  deliver.login = read_login(table);
  check_login(table, deliver.login, deliver.tls);
  deliver.keeps_deferred = table.choice<bool>("deferred", {{"provider", false}, {"here", true}}, false);
  deliver.lifetime = table.duration("lifetime", deliver.lifetime);
  deliver.soft_bounce = table.boolean("soft_bounce", false);
  deliver.breaker = static_cast<std::size_t>(table.integer("breaker", 5, {0, 1000000}));
  deliver.max_connections = static_cast<std::size_t>(table.integer("max_connections", 4, {1, 10}));
  return deliver;
}

void read_domains(const Table& table, ProviderSettings& provider) {
  const auto written = table.texts("domains");
  if (!written || written->empty()) {
    if (!written)
      table.fault("domains",
                  "missing; name the domains that the provider holds mail for, such as "
                  "domains = [\"example.org\"]");
    else
      table.fault("domains", "is empty, so nothing could be accepted; name the domains to fetch");
    return;
  }
  for (const auto& one : *written) {
    const auto domain = smtp::canonical_domain(one);
    if (one.starts_with('[') || net::ip_version_of(one)) {
      table.fault("domains", "\"" + one + "\" is an address, and no domain, which ATRN wants");
    } else if (!domain) {
      table.fault("domains", "\"" + one + "\" is no domain: " + domain.error().text);
    } else if (domain->find('.') == std::string::npos) {
      // RFC 2645 5.2.1: a domain of ATRN has two labels at least.
      table.fault("domains", "\"" + one + "\" has a single label, which ATRN cannot carry; write it in full");
    } else if (std::find(provider.domains.begin(), provider.domains.end(), *domain) == provider.domains.end()) {
      provider.domains.push_back(*domain);
    }
  }
}

// What ETRN is said for (RFC 1985 5.2): domains, "@DOMAIN" with all below it, "#QUEUE" of the server's.
void read_nodes(const Table& table, ProviderSettings& provider) {
  const auto written = table.texts("domains");
  if (!written || written->empty()) {
    table.fault("domains", written ? "is empty, so nothing would be asked for; name the domains"
                                   : "missing; name what ETRN is to be said for, such as domains = [\"example.org\"]");
    return;
  }
  for (const auto& one : *written) {
    const bool is_queue = one.starts_with('#');
    const std::string prefix = one.starts_with('@') ? "@" : "";
    const auto domain = smtp::canonical_domain(std::string_view(one).substr(prefix.size()));
    if (!is_queue && !domain) {
      table.fault("domains", "\"" + one + "\" is no domain: " + domain.error().text +
                                 "; ETRN takes DOMAIN, @DOMAIN (all below it, too) and #QUEUE");
      continue;
    }
    std::string node = one;
    if (!is_queue) node = prefix + *domain;
    if (is_queue && !smtp::parse_etrn(node)) {
      table.fault("domains", "\"" + one + "\" is no queue's name: write # and one word");
      continue;
    }
    const auto add = [](std::vector<std::string>& all, const std::string& what) {
      if (std::find(all.begin(), all.end(), what) == all.end()) all.push_back(what);
    };
    add(provider.nodes, node);
    if (!is_queue) add(provider.domains, *domain);
  }
}

void read_provider_login(const Table& table, ProviderSettings& provider) {
  provider.login = read_login(table);
  if (provider.protocol == Protocol::etrn) return check_login(table, provider.login, provider.tls);
  const bool has_certificate = !provider.tls.client_certificate.empty();
  if (provider.login.user.empty() && !has_certificate) {
    table.fault("user", "missing; most providers want the domain's name, such as user = \"example.org\"");
  }
  if (!provider.login.password && !has_certificate && !table.has("password_file") && !table.has("password_command") &&
      !table.has("password_credential") && !table.has("password")) {
    table.fault("password_file",
                "missing; name the file that holds the ATRN password (or use password_command or "
                "password_credential)");
  }
  if (provider.tls.policy != TlsPolicy::none) return;
  for (const auto mechanism : provider.login.filter) {
    if (sasl::allowed_in_clear(mechanism)) continue;
    table.fault("auth", std::string(sasl::name(mechanism)) + " is used only inside TLS, and tls is \"none\"");
  }
}

RetrySettings read_retry(const Table& table) {
  RetrySettings retry;
  const Duration most = std::chrono::hours(24);
  retry.refused = table.duration("retry_refused", retry.refused, {Duration::zero(), most});
  retry.longest = table.duration("retry_refused_max", std::max(retry.longest, retry.refused), {Duration::zero(), most});
  if (retry.longest < retry.refused) table.fault("retry_refused_max", "is shorter than retry_refused, the first wait");
  return retry;
}

// One text, or a list of them.
void read_hosts(const Table& table, std::uint16_t otherwise, ProviderSettings& provider) {
  const std::uint16_t port = read_port(table, otherwise);
  const auto written = table.text_or_texts("host");
  if (!table.has("host")) table.fault("host", "missing; write host = \"odmr.example.net\"");
  if (written && written->empty()) table.fault("host", "is empty; name the provider's server, or several");
  std::vector<net::Endpoint> hosts;
  for (const auto& one : written.value_or(std::vector<std::string>())) {
    const auto where = split_host(one);
    if (!where) {
      table.fault("host", "\"" + one + "\" is no host; write HOST, HOST:PORT or [ADDRESS]:PORT");
      continue;
    }
    hosts.push_back(net::Endpoint{where->host, where->port.value_or(port), {}, {}});
    check_way(table, "host", where->host, provider.way);
  }
  if (hosts.empty()) return;
  provider.endpoint = hosts.front();
  provider.alternatives.assign(hosts.begin() + 1, hosts.end());
}

// --- mailboxes

// RFC 8314 3.3, and the ports that were there before.
std::uint16_t default_port(Protocol protocol, TlsPolicy tls) {
  const bool is_implicit = tls == TlsPolicy::implicit;
  switch (protocol) {
    case Protocol::pop3:
      return is_implicit ? 995 : 110;
    case Protocol::imap:
      return is_implicit ? 993 : 143;
    case Protocol::etrn:
      return is_implicit ? 465 : 25;
    default:
      return k_odmr_port;
  }
}

void read_keeping(const Table& table, Protocol protocol, collect::Keeping& keeping) {
  keeping.leaves = table.boolean("leave_on_server", protocol == Protocol::imap);
  keeping.leave_for = table.duration("leave_for");
  keeping.leave_up_to = table.size("leave_up_to", 0);
  if (keeping.leaves) return;
  for (const char* key : {"leave_for", "leave_up_to"}) {
    if (table.has(key)) table.fault(key, "is of no use without leave_on_server = true");
  }
}

// An address that the local target is to hear. It becomes one of those whose domains are accepted.
std::optional<smtp::Mailbox> read_recipient(const Table& table, const std::string& key, const std::string& text,
                                            ProviderSettings& provider) {
  auto address = smtp::parse_mailbox(text);
  const auto domain = address ? smtp::canonical_domain(address->domain) : Result<std::string>();
  if (!address || !domain) {
    const auto& why = address ? domain.error() : address.error();
    table.fault(key, "\"" + text + "\" is no address: " + why.text);
    return std::nullopt;
  }
  if (smtp::routes_onwards(address->local_part)) {
    table.fault(key, "\"" + text + "\" has a \"%\", \"!\" or \"@\" by which it might be sent onwards");
    return std::nullopt;
  }
  auto& domains = provider.domains;
  if (std::find(domains.begin(), domains.end(), *domain) == domains.end()) domains.push_back(*domain);
  return std::move(*address);
}

std::vector<smtp::Mailbox> read_recipients(const Table& table, const std::string& key,
                                           const std::vector<std::string>& written, ProviderSettings& provider) {
  std::vector<smtp::Mailbox> recipients;
  for (const auto& one : written) {
    if (auto recipient = read_recipient(table, key, one, provider)) recipients.push_back(std::move(*recipient));
  }
  return recipients;
}

// "PATTERN TARGET…"
void read_users(const Table& table, ProviderSettings& provider) {
  for (const auto& line : table.texts("users", {})) {
    std::vector<std::string> words;
    std::string_view rest = trim(line);
    while (!rest.empty()) {
      words.emplace_back(rest.substr(0, rest.find(' ')));
      rest = trim(rest.substr(std::min(words.back().size(), rest.size())));
    }
    const std::vector<std::string> targets(words.empty() ? words.begin() : words.begin() + 1, words.end());
    if (targets.empty()) {
      table.fault("users", "\"" + line + "\" has no target; write \"sales@example.org anna@example.org\"");
      continue;
    }
    if (read_recipients(table, "users", targets, provider).size() != targets.size()) continue;
    const auto added = provider.mailbox->policy.users.add(words.front(), targets);
    if (!added) table.fault("users", added.error().text);
  }
}

// A mailbox of many: whom a message is for stands in its header, if anywhere.
void read_multidrop(const Table& table, ProviderSettings& provider) {
  auto& policy = provider.mailbox->policy;
  read_domains(table, provider);
  policy.domains = std::set<std::string>(provider.domains.begin(), provider.domains.end());
  for (const auto& text : table.texts("envelope", {})) {
    auto source = mail::parse_envelope_source(text);
    if (source)
      policy.envelope.push_back(std::move(*source));
    else
      table.fault("envelope", source.error().text);
  }
  policy.use_address_fields = table.boolean("address_fields", true);
  if (policy.envelope.empty() && !policy.use_address_fields)
    table.fault("address_fields", "without it, and without envelope, nobody can be told whom a message is for");
  read_users(table, provider);
  policy.catch_all = read_recipients(table, "catch_all",
                                     table.text_or_texts("catch_all").value_or(std::vector<std::string>()), provider);
}

// One address, or as many as there are in the domains.
void read_whose(const Table& table, ProviderSettings& provider) {
  const auto whose = table.text_or_texts("deliver_to");
  if (!table.has("deliver_to") && table.has("domains")) return read_multidrop(table, provider);
  if (!whose || whose->empty()) {
    return table.fault("deliver_to",
                       "missing; name the address whose mailbox it is, or in domains those whose mail is in it");
  }
  provider.mailbox->policy.only = read_recipients(table, "deliver_to", *whose, provider);
  for (const char* key : {"domains", "envelope", "address_fields", "users", "catch_all"}) {
    if (table.has(key)) table.fault(key, "is of no use with deliver_to, who gets all");
  }
}

void read_mailbox(const Table& table, ProviderSettings& provider) {
  auto& mailbox = provider.mailbox.emplace();
  const bool is_pop3 = provider.protocol == Protocol::pop3;
  mailbox.place.protocol = is_pop3 ? collect::Protocol::pop3 : collect::Protocol::imap;
  read_keeping(table, provider.protocol, mailbox.keeping);
  mailbox.bounces_refused = table.choice<bool>("refused", {{"leave", false}, {"bounce", true}}, false);
  read_whose(table, provider);
  mailbox.drops_delivered_to = table.boolean("drop_delivered_to", true);
  if (provider.login.user.empty() || !provider.login.password)
    table.fault("user", "a mailbox needs user and a password (password_file, password_command or password_credential)");
  if (is_pop3) return;
  mailbox.place.folder = table.text("folder", "INBOX");
  if (mailbox.place.folder.empty() || !is_utf8(mailbox.place.folder))
    table.fault("folder", "is no folder's name; write it as the provider has it, such as folder = \"INBOX\"");
  mailbox.unseen_only = table.boolean("unseen_only", false);
  mailbox.marks_seen = table.boolean("mark_seen", false);
  const auto& keeping = mailbox.keeping;
  mailbox.place.is_read_only = keeping.leaves && !keeping.leave_for && keeping.leave_up_to == 0 && !mailbox.marks_seen;
}

void refuse_keys(const Table& table, std::initializer_list<const char*> keys, const char* whose) {
  for (const char* key : keys) {
    if (table.has(key)) table.fault(key, std::string("is for ") + whose + "; leave it out");
  }
}

// A text to a host. Without a host of its own it goes to the provider's.
void read_signal(const Table& table, ProviderSettings& provider) {
  const Table own = table.table("signal");
  const bool is_all = provider.protocol == Protocol::signal;
  if (!own.is_there()) {
    if (is_all)
      table.fault("signal",
                  "missing; such as signal = { host = \"mail.example.net\", port = 79, send = \"example.org\\r\\n\", "
                  "expect = \"queue\" }");
    return;
  }
  trigger::Signal signal;
  const auto host = own.text("host");
  const auto where = host ? split_host(*host) : std::nullopt;
  if (host && (!where || where->port)) own.fault("host", "\"" + *host + "\" is no host; write a name or an address");
  if (!own.has("host") && is_all) own.fault("host", "missing; name the host that the text is sent to");
  signal.endpoint.host = where ? where->host : provider.endpoint.host;
  if (where) check_way(own, "host", where->host, provider.way);
  if (!own.has("port")) own.fault("port", "missing; finger is on port 79, SMTP on port 25");
  signal.endpoint.port = read_port(own, 0);
  if (!own.has("send")) own.fault("send", "missing; what is to be sent, such as send = \"QSND example.org\\r\\n\"");
  signal.text = own.text_of_lines("send").value_or("");
  signal.expected = own.text_of_lines("expect").value_or("");
  if (signal.text.size() > k_longest_signal) own.fault("send", "is longer than 4096 octets");
  if (signal.expected.size() > k_longest_signal) own.fault("expect", "is longer than 4096 octets");
  provider.signal = std::move(signal);
  if (is_all) provider.endpoint = provider.signal->endpoint;
}

// The keys that each way of getting mail has for itself.
void refuse_keys_of_others(const Table& table, Protocol protocol) {
  const bool is_mailbox = protocol == Protocol::pop3 || protocol == Protocol::imap;
  if (protocol != Protocol::imap) refuse_keys(table, {"folder", "unseen_only", "mark_seen"}, "protocol = \"imap\"");
  if (protocol != Protocol::odmr)
    refuse_keys(table, {"atrn_all", "parallel", "stray_newlines", "recipients_file"}, "protocol = \"odmr\"");
  if (!is_mailbox)
    refuse_keys(table,
                {"deliver_to", "leave_on_server", "leave_for", "leave_up_to", "refused", "envelope", "address_fields",
                 "users", "catch_all", "drop_delivered_to"},
                "protocol = \"pop3\" and \"imap\"");
  if (protocol == Protocol::etrn || protocol == Protocol::signal)
    refuse_keys(table, {"max_sessions", "max_minutes", "max_bytes", "max_message_size"}, "a line that mail comes over");
  if (protocol == Protocol::signal)
    refuse_keys(
        table,
        {"host", "port", "domains", "tls", "ca_file", "pin", "client_certificate", "client_key", "user", "password",
         "password_file", "password_command", "password_credential", "auth"},
        "a protocol other than \"signal\", which has its own host and port in signal, and neither TLS nor login");
}

void read_server(const Table& table, ProviderSettings& provider) {
  provider.tls = read_tls(table, TlsPolicy::starttls);
  read_hosts(table, default_port(provider.protocol, provider.tls.policy), provider);
  read_provider_login(table, provider);
}

ProviderSettings read_provider(const Table& table, const Table& deliver, const BudgetSettings& of_line) {
  ProviderSettings provider;
  provider.name = table.name();
  provider.way = read_way(table);
  provider.protocol = table.choice<Protocol>("protocol",
                                             {{"odmr", Protocol::odmr},
                                              {"pop3", Protocol::pop3},
                                              {"imap", Protocol::imap},
                                              {"etrn", Protocol::etrn},
                                              {"signal", Protocol::signal}},
                                             Protocol::odmr);
  if (provider.protocol != Protocol::signal) read_server(table, provider);
  if (provider.protocol == Protocol::signal) provider.tls.policy = TlsPolicy::none;
  read_signal(table, provider);
  refuse_keys_of_others(table, provider.protocol);
  switch (provider.protocol) {
    case Protocol::odmr:
      read_domains(table, provider);
      provider.atrn_all = table.boolean("atrn_all", false);
      provider.parallel = static_cast<std::uint64_t>(table.integer("parallel", 1, {1, 16}));
      if (provider.atrn_all && table.has("parallel"))
        table.fault("parallel",
                    "spreads the domains over several ATRN, and atrn_all names none; leave one of them out");
      provider.recipients_file = table.path("recipients_file").value_or("");
      provider.mend_stray_newlines = table.choice<bool>("stray_newlines", {{"reject", false}, {"fix", true}}, false);
      break;
    case Protocol::pop3:
    case Protocol::imap:
      read_mailbox(table, provider);
      break;
    case Protocol::etrn:
      read_nodes(table, provider);
      break;
    case Protocol::signal:
      break;
  }
  provider.max_sessions = static_cast<std::uint64_t>(table.integer("max_sessions", 1000, {1, 1000000}));
  provider.budget = read_budget(table, of_line);
  provider.retry = read_retry(table);
  const auto own = table.table("deliver");
  provider.deliver = read_deliver(own.is_there() ? own : deliver);
  if (own.is_there()) provider.deliver.table = "[provider." + provider.name + ".deliver]";
  return provider;
}

TimeoutSettings read_timeouts(const Table& table) {
  TimeoutSettings timeouts;
  timeouts.connect = table.duration("connect", timeouts.connect);
  timeouts.command = table.duration("command", timeouts.command);
  timeouts.atrn = table.duration("atrn", timeouts.atrn);
  timeouts.idle = table.duration("idle", timeouts.idle);
  timeouts.data = table.duration("data", timeouts.data);
  timeouts.target = table.duration("target", timeouts.target);
  timeouts.final = table.duration("final", timeouts.final);
  return timeouts;
}

LimitSettings read_limits(const Table& table) {
  LimitSettings limits;
  const auto count = [&table](const char* key, std::size_t otherwise, std::int64_t least) {
    return static_cast<std::size_t>(
        table.integer(key, static_cast<std::int64_t>(otherwise), {least, std::int64_t{1} << 32}));
  };
  constexpr std::uint64_t k_most = std::uint64_t{1} << 24;
  // RFC 5321 4.5.3.1 says what everybody must be able to take: the least that may be set.
  limits.reply.line = table.size("reply_line", limits.reply.line, {512, k_most});
  limits.reply.lines = count("reply_lines", limits.reply.lines, 20);
  limits.reply.total = table.size("reply_size", limits.reply.total, {4096, k_most});
  limits.command_line = table.size("command_line", limits.command_line, {1024, k_most});
  limits.recipients = count("recipients", limits.recipients, 100);
  limits.message_size = table.size("message_size", 0);
  limits.hops = count("hops", limits.hops, 1);
  limits.errors = count("errors", limits.errors, 1);
  limits.idle_commands = count("idle_commands", limits.idle_commands, 10);
  limits.data_rate = static_cast<std::uint64_t>(table.integer("data_rate", 0, {0, 1'000'000'000}));
  limits.session_time = table.duration("session_time");
  limits.session_size = table.size("session_size", 0);
  limits.header_size = table.size("header_size", limits.header_size, {1024, k_most});
  return limits;
}

const ProviderSettings* provider_named(const std::vector<ProviderSettings>& providers, const std::string& name) {
  const auto found =
      std::find_if(providers.begin(), providers.end(), [&](const ProviderSettings& one) { return one.name == name; });
  return found == providers.end() ? nullptr : &*found;
}

// "provider", where there is one, or "provider:NAME".
void read_provider_as_smart_host(const Table& table, const std::string& to,
                                 const std::vector<ProviderSettings>& providers, OutboundSettings& outbound) {
  outbound.to = OutboundSettings::To::provider;
  if (to.size() > 9) {
    outbound.provider = to.substr(9);
    if (provider_named(providers, outbound.provider) == nullptr)
      table.fault("to", "there is no [provider." + outbound.provider + "]");
  } else if (providers.size() == 1) {
    outbound.provider = providers.front().name;
  } else {
    table.fault("to", "there are several providers; write which, such as to = \"provider:NAME\"");
  }
  const auto* named = provider_named(providers, outbound.provider);
  if (named != nullptr && named->protocol != Protocol::odmr)
    table.fault("to", "[provider." + named->name + "] has no ODMR connection that mail could go over; " +
                          "write smtp://HOST[:PORT]");
  for (const char* key : {"tls", "ca_file", "pin", "client_certificate", "client_key", "user", "auth_as", "ip",
                          "source_address", "proxy"}) {
    if (table.has(key))
      table.fault(key, "mail goes over the provider's own connection, which has its own TLS and login");
  }
}

void read_auth_as(const Table& table, const std::vector<ProviderSettings>& providers, OutboundSettings& outbound) {
  const auto name = table.text("auth_as");
  if (!name) return;
  const auto* provider = provider_named(providers, *name);
  if (provider == nullptr) return table.fault("auth_as", "there is no [provider." + *name + "]");
  if (!outbound.login.user.empty()) {
    return table.fault("auth_as", "there is a user too; give one of the two");
  }
  outbound.login.user = provider->login.user;
  outbound.login.password = provider->login.password;
}

void read_pop_before_smtp(const Table& table, OutboundSettings& outbound) {
  if (!table.is_there()) return;
  OutboundSettings::PopBeforeSmtp pop;
  pop.endpoint.host = table.required_text("host", "pop.example.net");
  pop.tls = read_tls(table, TlsPolicy::starttls);
  pop.endpoint.port = read_port(table, pop.tls.policy == TlsPolicy::implicit ? 995 : 110);
  if (pop.tls.policy == TlsPolicy::none) {
    table.fault("tls", "\"none\" would show the password, the only login there is; write \"starttls\" or \"implicit\"");
  }
  pop.login = read_login(table);
  check_login(table, pop.login, pop.tls);
  if (pop.login.user.empty()) table.fault("user", "missing; the login is all that this connection is for");
  outbound.pop_before_smtp = std::move(pop);
}

void read_from(const Table& table, OutboundSettings& outbound) {
  const auto from = table.text("from");
  if (!from) return;
  const auto mailbox = smtp::parse_mailbox(*from);
  if (!mailbox) return table.fault("from", "\"" + *from + "\" is no address: " + mailbox.error().text);
  outbound.from = *from;
}

void read_notices(const Table& table, OutboundSettings& outbound) {
  outbound.lifetime = table.duration("lifetime", outbound.lifetime);
  outbound.delay_notice = table.duration("delay_notice");
  if (outbound.delay_notice && *outbound.delay_notice >= outbound.lifetime) {
    table.fault("delay_notice", "comes after the end of lifetime; make it shorter");
  }
  outbound.bounce_whole_message = table.choice<bool>("bounce", {{"header", false}, {"message", true}}, false);
}

std::optional<CommandSettings> read_outbound_command(const Table& table) {
  const auto command = table.command("command");
  auto until = table.command("command_until");
  CommandSettings settings;
  settings.limit = table.duration("command_limit", settings.limit);
  if (!command) {
    if (until) table.fault("command_until", "there is no command that it could wait for");
    return std::nullopt;
  }
  settings.command = *command;
  settings.is_empty = until.value_or(std::vector<std::string>());
  return settings;
}

void read_outbound(const Table& table, Settings& settings) {
  OutboundSettings outbound;
  outbound.way = read_way(table);
  outbound.tls = read_tls(table, TlsPolicy::starttls);
  outbound.login = read_login(table);
  check_login(table, outbound.login, outbound.tls);
  const auto to = table.text("to");
  if (to && (*to == "provider" || to->substr(0, 9) == "provider:")) {
    read_provider_as_smart_host(table, *to, settings.providers, outbound);
  } else if (to) {
    const auto endpoint =
        read_smart_host(table, *to, outbound.tls, ", or \"provider\" for the provider's own connection");
    if (endpoint) {
      outbound.endpoint = *endpoint;
      check_way(table, "to", endpoint->host, outbound.way);
    }
  }
  read_auth_as(table, settings.providers, outbound);
  read_pop_before_smtp(table.table("pop_before_smtp"), outbound);
  outbound.max_connections = static_cast<std::size_t>(table.integer("max_connections", 2, {1, 10}));
  read_notices(table, outbound);
  read_from(table, outbound);
  outbound.convert_8bit = table.boolean("convert_8bit", false);
  settings.order = table.choice<Order>("order",
                                       {{"side-by-side", Order::side_by_side},
                                        {"send-first", Order::send_first},
                                        {"receive-first", Order::receive_first}},
                                       Order::side_by_side);
  settings.command = read_outbound_command(table);
  if (to) settings.outbound = std::move(outbound);
  if (table.is_there() && !to && !settings.command) {
    table.fault("to", "missing; such as to = \"smtp://smtp.example.net:587\"");
  }
}

// Whoever connects may send through our smart host: nobody but this machine's own programs.
bool is_loopback(const std::string& host) {
  return host == "::1" || host.substr(0, 4) == "127.";
}

void read_submit(const Table& table, Settings& settings) {
  const auto listen = table.text_or_texts("listen");
  settings.submit.max_size = table.size("max_size", settings.submit.max_size, {1024, std::uint64_t{1} << 40});
  if (!listen) {
    settings.submit.listen = {k_submit_socket};
    return;
  }
  if (listen->empty()) table.fault("listen", "is empty; leave it out for " + std::string(k_submit_socket));
  for (const auto& one : *listen) {
    const auto where = one.front() == '/' ? std::nullopt : split_listen(one);
    if (one.front() != '/' && !where) {
      table.fault("listen", "\"" + one + "\" is neither a socket's path nor ADDRESS:PORT");
    } else if (where && !is_loopback(*where)) {
      table.fault("listen", "\"" + one +
                                "\" can be reached from other machines, and whoever reaches it may send mail; use "
                                "127.0.0.1, [::1] or a socket");
    }
    settings.submit.listen.push_back(one);
  }
}

JournalSettings read_journal(const Table& table) {
  JournalSettings journal;
  // RFC 5321 4.5.4.1: who sends goes on trying for four or five days; what is forgotten before comes twice.
  journal.duplicate_window = table.duration("duplicate_window", journal.duplicate_window,
                                            {std::chrono::hours(1), std::chrono::hours(24 * 365)});
  journal.receipts =
      table.duration("receipts", journal.receipts, {std::chrono::hours(1), std::chrono::hours(24 * 3650)});
  return journal;
}

WatchSettings read_watch(const Table& table, bool is_dialled) {
  WatchSettings watch;
  const config::Range<Duration> sensible{std::chrono::seconds(1), std::chrono::hours(24 * 7)};
  watch.interval = table.duration("interval", watch.interval, sensible);
  watch.jitter = table.duration("jitter", watch.interval / 10, {Duration::zero(), sensible.most});
  watch.longest = table.duration("max_interval", std::max(watch.longest, watch.interval), sensible);
  if (watch.longest < watch.interval) table.fault("max_interval", "is shorter than interval, which it lengthens");
  // A line that has to be dialled costs something as long as it is up.
  watch.hold = table.boolean("hold", !is_dialled);
  return watch;
}

}  // namespace

LogSettings read_log(const Table& log) {
  LogSettings settings;
  const auto level = log.choice<Level>("level",
                                       {{"error", Level::error},
                                        {"warn", Level::warn},
                                        {"info", Level::info},
                                        {"debug", Level::debug},
                                        {"trace", Level::trace}},
                                       Level::info);
  if (log.has("level")) settings.level = level;
  settings.format =
      log.choice<LogFormat>("format", {{"text", LogFormat::text}, {"json", LogFormat::json}}, LogFormat::text);
  return settings;
}

Settings read_settings(config::Document& document) {
  const Table root = document.root();
  Settings settings;
  settings.state_dir = root.path("state_dir").value_or(default_state_dir());
  settings.state_dir_is_default = !root.has("state_dir");
  settings.run_as = read_run_as(root);
  settings.hostname = read_hostname(root);
  settings.stop_grace = root.duration("stop_grace", settings.stop_grace, {Duration::zero(), std::chrono::hours(24)});
  settings.log = read_log(root.table("log"));
  settings.timeouts = read_timeouts(root.table("timeouts"));
  settings.limits = read_limits(root.table("limits"));

  settings.line = read_line(root.table("line"));

  const Table deliver = root.table("deliver");
  const auto providers = root.tables("provider");
  const bool all_have_their_own =
      !providers.empty() &&
      std::all_of(providers.begin(), providers.end(), [](const Table& one) { return one.table("deliver").is_there(); });
  const bool has_own = deliver.is_there() || !all_have_their_own;
  if (has_own) settings.deliver = read_deliver(deliver);
  const Table outbound = root.table("outbound");
  if (providers.empty() && !outbound.is_there()) {
    root.fault("provider", "missing; there has to be one [provider.NAME] at least");
  }
  for (const auto& table : providers) settings.providers.push_back(read_provider(table, deliver, settings.line.budget));
  if (!has_own) settings.deliver = settings.providers.front().deliver;
  read_outbound(outbound, settings);
  read_submit(root.table("submit"), settings);
  settings.journal = read_journal(root.table("journal"));
  settings.watch = read_watch(root.table("watch"), !settings.line.dialled.up.empty());
  return settings;
}

tl::expected<Settings, std::vector<std::string>> load_settings(const std::string& named) {
  const auto path = find_configuration(named);
  if (!path) return tl::unexpected(std::vector<std::string>{path.error().text});
  auto document = config::Document::load(*path);
  if (!document) return tl::unexpected(std::vector<std::string>{document.error().render()});
  auto settings = read_settings(*document);
  std::vector<std::string> faults;
  for (const auto& fault : document->faults()) faults.push_back(fault.render());
  faults.erase(std::unique(faults.begin(), faults.end()), faults.end());
  if (!faults.empty()) return tl::unexpected(std::move(faults));
  return settings;
}

}  // namespace odmr::app
