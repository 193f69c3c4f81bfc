#include "app/fetchmail_mailbox.hpp"

#include <algorithm>
#include <map>

#include "app/setup_from_fetchmail.hpp"
#include "base/ascii.hpp"
#include "mail/mailbox_envelope.hpp"
#include "net/network.hpp"
#include "smtp/path.hpp"

namespace odmr::app {

namespace {

std::string list_of(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& one : texts) out += (out.empty() ? "" : ", ") + toml_string(one);
  return "[" + out + "]";
}

// Letters, digits, - and _ of it: a provider's name.
std::string as_name(const std::string& text) {
  std::string name;
  for (const char c : text) {
    if (is_alnum(c) || c == '_')
      name.push_back(to_lower(c));
    else if (!name.empty() && name.back() != '-')
      name.push_back('-');
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.substr(0, 40);
}

class Mailbox {
 public:
  Mailbox(const FetchmailEntry& entry, const std::string& postmaster, const std::string& hostname,
          std::set<std::string>& names)
      : entry_(entry), postmaster_(postmaster), hostname_(hostname), names_(names) {}

  CarriedProviders run() {
    const bool is_etrn = entry_.protocol == "etrn";
    if (is_usable() && (is_etrn ? nodes() : login() && whose())) {
      if (!is_etrn) keeping();
      make_providers();
      note_what_is_left();
    }
    return std::move(out_);
  }

 private:
  void note(const std::string& text) { out_.notes.push_back("entry " + escape(named()) + ": " + text); }
  std::string named() const { return entry_.user.empty() ? entry_.name : entry_.name + " (" + entry_.user + ")"; }
  void add(const std::string& key, const std::string& value) { provider_.keys.emplace_back(key, value); }
  void add_text(const std::string& key, const std::string& value) { add(key, toml_string(value)); }
  bool has(const std::string& option) const {
    return std::find(entry_.others.begin(), entry_.others.end(), option) != entry_.others.end();
  }

  // A text with a control character in it would be a fault of the file that nobody can see.
  static bool is_clean(const std::string& text) {
    return is_utf8(text) && std::none_of(text.begin(), text.end(), is_control);
  }

  // --- where it is

  bool is_usable() {
    std::vector<std::string> all{entry_.host(), entry_.user, entry_.certificate_file, entry_.virtual_prefix};
    all.insert(all.end(), entry_.folders.begin(), entry_.folders.end());
    for (const auto& [there, here] : entry_.local_names) all.insert(all.end(), {there, here});
    if (!std::all_of(all.begin(), all.end(), is_clean)) {
      note("is not carried over: there are control characters in it");
      return false;
    }
    const bool is_apop = entry_.protocol == "apop";
    add_text("protocol", is_apop ? "pop3" : entry_.protocol);
    if (is_apop) note("APOP is used where the server offers it and nothing stronger");
    std::string host = entry_.host();
    if (host.find(':') != std::string::npos) host = "[" + host + "]";
    if (const auto port = parse_number(entry_.service))
      host += ":" + std::to_string(*port);
    else if (!entry_.service.empty() && lower(entry_.service) != entry_.protocol)
      note("service \"" + escape(entry_.service) + "\" is not carried over: write the port's number behind host");
    add_text("host", host);
    tls();
    return true;
  }

  void tls() {
    if (entry_.is_ssl) {
      add_text("tls", "implicit");
    } else if (entry_.ssl_protocol && entry_.ssl_protocol->empty()) {
      add_text("tls", "none");
      note("without TLS, as \"sslproto ''\" has it: others can read mail, and only CRAM-MD5, APOP or SCRAM log in");
    } else {
      add_text("tls", "starttls");
      note("TLS is required, by STARTTLS, where fetchmail goes on without");
    }
    if (!entry_.certificate_file.empty()) add_text("ca_file", entry_.certificate_file);
  }

  bool login() {
    if (entry_.user.empty() || !entry_.password) {
      note(std::string("is not carried over: there is no ") + (entry_.user.empty() ? "user" : "password") +
           " in it, which fetchmail asks for, or takes from .netrc; write it there, or the provider by hand");
      return false;
    }
    if (const auto good = check_password(entry_.password->text()); !good) {
      note("is not carried over: " + good.error().text);
      return false;
    }
    add_text("user", entry_.user);
    provider_.has_password = true;
    return true;
  }

  // --- whom it is for

  // fetchmail puts smtpaddress behind names of this host, or the first smtphost.
  std::string local_domain() const {
    if (!entry_.smtp_address.empty()) return entry_.smtp_address;
    const std::string host = entry_.smtphosts.empty() ? "" : entry_.smtphosts.front();
    const auto name = host.substr(0, host.find('/'));
    const bool is_name = !name.empty() && !net::ip_version_of(name) && smtp::canonical_domain(name);
    return is_name ? name : "localhost";
  }

  std::string address_of(const std::string& name) const {
    return name.find('@') == std::string::npos ? name + "@" + local_domain() : name;
  }

  bool is_multidrop() const {
    const auto& names = entry_.local_names;
    return names.size() > 1 ||
           std::any_of(names.begin(), names.end(), [](const auto& one) { return one.there == "*"; });
  }

  bool is_address(const std::string& address) {
    const bool good = smtp::parse_mailbox(address).has_value();
    if (!good) note("\"" + escape(address) + "\" is no address, and is left out");
    return good;
  }

  bool whose() { return is_multidrop() ? of_many() : of_one(); }

  bool of_one() {
    std::string whose = entry_.smtp_name;
    if (whose.empty() && !entry_.local_names.empty()) whose = address_of(entry_.local_names.front().here);
    if (whose.empty()) {
      whose = address_of(entry_.user.substr(0, entry_.user.find('@')));
      note("it does not say whose mailbox it is, where fetchmail takes who calls it: deliver_to is " + whose +
           "; correct it");
    }
    if (!is_address(whose)) {
      note("is not carried over: nobody can be told whose mailbox it is");
      return false;
    }
    add_text("deliver_to", whose);
    return true;
  }

  bool of_many() {
    auto domains = entry_.local_domains;
    domains.insert(domains.end(), entry_.aliases.begin(), entry_.aliases.end());
    // Of fetchmail's servers each name of theirs is ours.
    if (domains.empty()) domains.push_back(entry_.name);
    std::erase_if(domains, [this](const std::string& one) {
      const auto domain = smtp::canonical_domain(one);
      const bool is_bad = !domain || domain->find('.') == std::string::npos || net::ip_version_of(one);
      if (is_bad) note("\"" + escape(one) + "\" is no domain with a dot in it, and is left out of domains");
      return is_bad;
    });
    if (domains.empty()) {
      note(
          "is not carried over: a mailbox of many needs domains; add localdomains to the entry, or write the provider "
          "by hand");
      return false;
    }
    add("domains", list_of(domains));
    if (entry_.local_domains.empty())
      note(
          "domains are the server's names, as fetchmail has it without localdomains; it asks DNS for others, odmr "
          "does not: complete them");
    envelope();
    users();
    catch_all();
    return true;
  }

  void envelope() {
    if (!entry_.envelope) {
      if (!entry_.has_no_envelope)
        note(
            "fetchmail looks into Received for whom a message is; odmr goes by To and Cc: where the provider writes "
            "such a field, name it in envelope");
      if (!entry_.virtual_prefix.empty()) note("\"qvirtual\" is not carried over: it needs an envelope");
      return;
    }
    std::string field = entry_.envelope->name;
    while (!field.empty() && (field.back() == ':' || field.back() == ' ')) field.pop_back();
    if (entry_.envelope->skipped > 0) field += " " + std::to_string(entry_.envelope->skipped + 1);
    if (!entry_.virtual_prefix.empty()) field += " " + entry_.virtual_prefix;
    if (const auto good = mail::parse_envelope_source(field); !good)
      return note("envelope \"" + escape(field) + "\" is not carried over: " + good.error().text);
    add("envelope", list_of({field}));
  }

  // Who is somebody else here. fetchmail hands the others on by their names alone.
  void users() {
    std::vector<std::string> users;
    bool has_plain = false;
    for (const auto& [there, here] : entry_.local_names) {
      const bool is_plain = there == here && there != "*" && here.find('@') == std::string::npos;
      has_plain = has_plain || is_plain;
      if (there == "*" || there == here) continue;
      const auto target = address_of(here);
      const std::string pattern = there.find('@') == std::string::npos ? there + "@*" : there;
      if (is_address(target)) users.push_back(pattern + " " + target);
    }
    if (!users.empty()) add("users", list_of(users));
    if (has_plain)
      note(
          "names of this host without another one there are not carried over: whoever is in domains is handed on "
          "with the whole address, and the local mail server says who that is");
  }

  void catch_all() {
    if (postmaster_.empty()) {
      note(
          "mail of which nobody can be told whom it is for stays in the mailbox, where fetchmail gives it to who calls "
          "it; catch_all names somebody");
      return;
    }
    const auto address = address_of(postmaster_);
    if (is_address(address)) add_text("catch_all", address);
  }

  // --- ETRN

  bool nodes() {
    auto nodes = entry_.fetchdomains;
    if (nodes.empty()) {
      nodes.push_back(hostname_);
      note("ETRN is said for " + hostname_ + ", this host's name, as fetchmail has it without fetchdomains");
    }
    if (!entry_.user.empty() && entry_.password) {
      if (const auto good = check_password(entry_.password->text()); !good) {
        note("is not carried over: " + good.error().text);
        return false;
      }
      add_text("user", entry_.user);
      provider_.has_password = true;
    } else if (!entry_.user.empty()) {
      note("user is not carried over: there is no password, and ETRN needs no login mostly");
    }
    add("domains", list_of(nodes));
    note("the mail comes by the provider's own connection to the mail server of this host, as it did");
    return true;
  }

  // --- what stays there

  void keeping() {
    add("leave_on_server", entry_.keeps ? "true" : "false");
    const bool is_imap = entry_.protocol == "imap";
    if (is_imap && !entry_.fetches_all) add("unseen_only", "true");
    if (is_imap && entry_.keeps) add("mark_seen", "true");
    if (entry_.keeps && (!is_imap || entry_.fetches_all))
      note("what fetchmail has left there comes once more with the first run: its list of what it knows is not read");
    if (entry_.limit > 0) add_text("max_message_size", std::to_string(entry_.limit) + "B");
  }

  // --- the providers

  std::string free_name(const std::string& wanted) {
    std::string name = wanted.empty() ? "mailbox" : wanted;
    for (int i = 2; names_.contains(name); ++i) name = (wanted.empty() ? "mailbox" : wanted) + std::to_string(i);
    names_.insert(name);
    return name;
  }

  void make_providers() {
    const auto host = as_name(entry_.name);
    const auto user = as_name(entry_.user.substr(0, entry_.user.find('@')));
    const bool is_alone = !names_.contains(host);
    const auto base = free_name(is_alone || user.empty() ? host : (host + "-" + user).substr(0, 60));
    if (!entry_.smtphosts.empty() && !entry_.smtphosts.front().empty())
      provider_.deliver = target_of_smtphost(entry_.smtphosts.front(), entry_.is_lmtp);
    for (std::size_t i = 1; i < entry_.smtphosts.size(); ++i)
      note("smtphost \"" + escape(entry_.smtphosts[i]) + "\" is not carried over: there is one target");
    provider_.secret = provider_.has_password ? base + ".secret" : "";
    std::vector<std::string> folders = entry_.folders;
    if (!folders.empty() && entry_.protocol != "imap") {
      note("\"folder\" is not carried over: it is of IMAP alone");
      folders.clear();
    }
    if (folders.empty()) folders.emplace_back();
    for (const auto& folder : folders) {
      auto provider = provider_;
      provider.name = &folder == &folders.front() ? base : free_name(base + "-" + as_name(folder));
      if (!folder.empty()) provider.keys.emplace_back("folder", toml_string(folder));
      out_.providers.push_back(std::move(provider));
    }
    if (folders.size() > 1) note("each of its folders is a provider of its own");
    if (entry_.is_skipped)
      note("fetchmail skips it unless it is named: \"odmr run NAME\" asks single providers, a bare one asks all");
  }

  // Every other option has its line.
  void note_what_is_left() {
    static const std::set<std::string> k_carried{"envelope",    "qvirtual", "localdomains", "is",      "to",
                                                 "keep",        "folder",   "sslproto",     "aka",     "fetchall",
                                                 "smtpaddress", "limit",    "uidl",         "smtpname"};
    const bool is_etrn = entry_.protocol == "etrn";
    for (const auto& option : entry_.others) {
      if (!is_etrn && k_carried.contains(option)) continue;
      if (option == "dropdelivered" || (is_etrn && option == "sslproto")) continue;  // is so, or carried
      note("\"" + option +
           "\" is not carried over: " + (is_etrn ? advice_on(option) : advice_on_mailbox_option(option)));
    }
    if (!is_etrn && !is_multidrop()) {
      for (const char* option : {"envelope", "qvirtual", "localdomains", "aka"}) {
        if (has(option)) note(std::string("\"") + option + "\" is not carried over: it is of a mailbox of many");
      }
    }
    if (!is_etrn && !entry_.fetchdomains.empty()) note("\"fetchdomains\" is not carried over: it is of ODMR and ETRN");
  }

  const FetchmailEntry& entry_;
  const std::string& postmaster_;
  const std::string& hostname_;
  std::set<std::string>& names_;
  FurtherProvider provider_;
  CarriedProviders out_;
};

}  // namespace

bool is_carried_protocol(const std::string& protocol) {
  return protocol == "pop3" || protocol == "apop" || protocol == "imap" || protocol == "etrn";
}

CarriedProviders carry_over_mailbox(const FetchmailEntry& entry, const std::string& postmaster,
                                    const std::string& hostname, std::set<std::string>& names) {
  return Mailbox(entry, postmaster, hostname, names).run();
}

std::string target_of_smtphost(const std::string& smtphost, bool is_lmtp) {
  if (smtphost.front() == '/') return "lmtp://" + smtphost;
  const auto slash = smtphost.find('/');
  std::string host = smtphost.substr(0, slash);
  if (host.find(':') != std::string::npos && host.front() != '[') host = "[" + host + "]";
  const std::string port = slash == std::string::npos ? std::string() : ":" + smtphost.substr(slash + 1);
  return (is_lmtp ? "lmtp://" : "smtp://") + host + port;
}

}  // namespace odmr::app
