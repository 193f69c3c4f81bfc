#include "app/setup_from_fetchmail.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "base/ascii.hpp"
#include "config/file.hpp"

namespace odmr::app {

namespace {

// What fetchmail's options become, where they become something that is written by hand.
std::string advice_on(const std::string& option) {
  static const std::map<std::string, std::string> k_advice{
      {"aka", "the envelope says whom mail is for; there is nothing to guess"},
      {"auth", "odmr takes the strongest way to log in that there is; auth in odmr.toml narrows it"},
      {"bsmtp", "odmr hands over by SMTP or LMTP, or into a Maildir"},
      {"envelope", "the envelope says whom mail is for; there is nothing to guess"},
      {"interface", "ip and source_address in [provider.NAME] come nearest"},
      {"interval", "with several providers, each may have a configuration and a timer of its own"},
      {"is", "the envelope says whom mail is for; the mail server has its aliases"},
      {"localdomains", "the envelope says whom mail is for; domains is the list"},
      {"mda", "odmr hands over by SMTP or LMTP, or into a Maildir"},
      {"no sslcertck",
       "certificates are always verified; ca_file or pin in [provider.NAME] for one that nobody signed"},
      {"plugin", "proxy in [provider.NAME] is for SOCKS5; for anything else see [line] up"},
      {"plugout", "odmr connects to the mail server itself"},
      {"postconnect", "[line] down runs a command behind each run"},
      {"preauth", "odmr takes the strongest way to log in that there is; auth in odmr.toml narrows it"},
      {"preconnect", "[line] up runs a command before each run"},
      {"smtpaddress", "addresses are not changed: the envelope has whole ones"},
      {"smtpname", "addresses are not changed: the envelope has the recipients"},
      {"sslcert", "client_certificate and client_key in [provider.NAME]"},
      {"sslcertpath", "ca_file in [provider.NAME] names one file"},
      {"sslcommonname", "the certificate has to have the host's name; pin in [provider.NAME] where it has not"},
      {"sslfingerprint", "pin in [provider.NAME] is the SHA-256 of the key; odmr probe prints it"},
      {"sslkey", "client_certificate and client_key in [provider.NAME]"},
      {"sslproto", "TLS 1.2 or later is required, by STARTTLS; tls in [provider.NAME] says otherwise"},
      {"timeout", "[timeouts] has one for each step"},
      {"to", "the envelope says whom mail is for; the mail server has its aliases"},
  };
  const auto found = k_advice.find(option);
  return found == k_advice.end() ? "odmr has no such option, and needs none" : found->second;
}

std::string name_of(const FetchmailEntry& entry) {
  return entry.user.empty() ? entry.name : entry.name + " (" + entry.user + ")";
}

bool is_odmr(const FetchmailEntry& entry) {
  return entry.protocol == "odmr";
}

bool is_called(const FetchmailEntry& entry, const std::string& wanted) {
  return equals_ignoring_case(entry.name, wanted) || entry.user == wanted;
}

std::string names_of(const std::vector<const FetchmailEntry*>& entries) {
  std::string names;
  for (const auto* entry : entries) names += (names.empty() ? "" : ", ") + escape(name_of(*entry));
  return names;
}

Result<const FetchmailEntry*> choose(const std::vector<FetchmailEntry>& entries, const std::string& wanted) {
  std::vector<const FetchmailEntry*> odmr;
  for (const auto& entry : entries) {
    if (is_odmr(entry)) odmr.push_back(&entry);
  }
  if (odmr.empty()) return fail(Errc::not_found, "there is no entry with \"protocol odmr\" in it");
  auto candidates = odmr;
  if (!wanted.empty()) {
    std::erase_if(candidates, [&](const auto* one) { return !is_called(*one, wanted); });
    if (candidates.empty())
      return fail(Errc::not_found,
                  "there is no entry \"" + wanted + "\" with \"protocol odmr\", but: " + names_of(odmr));
  } else if (std::any_of(odmr.begin(), odmr.end(), [](const auto* one) { return !one->is_skipped; })) {
    std::erase_if(candidates, [](const auto* one) { return one->is_skipped; });
  }
  if (candidates.size() > 1) {
    return fail(Errc::not_found,
                "there are several entries with \"protocol odmr\"; choose one with --entry (by host or "
                "user), and set up each in a file of its own: " +
                    names_of(candidates));
  }
  return candidates.front();
}

// "HOST", "HOST/PORT", "/SOCKET" as a target.
std::string target_of(const std::string& smtphost, bool is_lmtp) {
  if (smtphost.front() == '/') return "lmtp://" + smtphost;
  const auto slash = smtphost.find('/');
  std::string host = smtphost.substr(0, slash);
  if (host.find(':') != std::string::npos && host.front() != '[') host = "[" + host + "]";
  const std::string port = slash == std::string::npos ? std::string() : ":" + smtphost.substr(slash + 1);
  return (is_lmtp ? "lmtp://" : "smtp://") + host + port;
}

class Carrier {
 public:
  explicit Carrier(FetchmailEntry& entry) : entry_(entry) {}

  Result<FromFetchmail> run(const std::optional<std::uint64_t>& daemon) {
    auto carried = host();
    if (carried && !entry_.user.empty()) carried = take(Question::user, entry_.user);
    if (carried && !entry_.fetchdomains.empty()) carried = domains();
    if (carried && !entry_.smtphosts.empty()) carried = target();
    if (carried && daemon && *daemon > 0) carried = take(Question::interval, std::to_string(*daemon) + "s");
    if (!carried) return fail(carried.error());
    if (entry_.password) {
      const auto good = check_password(entry_.password->text());
      if (!good) return fail(good.error());
      out_.password = std::move(*entry_.password);
      out_.known.insert(Question::password);
    }
    tls();
    for (const auto& option : entry_.others) note("\"" + option + "\" is not carried over: " + advice_on(option));
    return std::move(out_);
  }

 private:
  void note(std::string text) { out_.notes.push_back(std::move(text)); }

  Result<void> take(Question question, const std::string& value) {
    auto taken = take_answer(question, value, out_.answers);
    if (!taken) return fail(taken.error().code, "entry " + escape(entry_.name) + ": " + taken.error().text);
    out_.known.insert(question);
    return {};
  }

  Result<void> host() {
    std::string host = entry_.host();
    if (host.find(':') != std::string::npos) host = "[" + host + "]";
    if (const auto port = parse_number(entry_.service)) {
      host += ":" + std::to_string(*port);
    } else if (!entry_.service.empty() && lower(entry_.service) != "odmr") {
      note("service \"" + escape(entry_.service) +
           "\" is not carried over: write the port's number, \"--provider HOST:PORT\"");
    }
    return take(Question::provider, host);
  }

  Result<void> domains() {
    std::string all;
    for (const auto& domain : entry_.fetchdomains) all += (all.empty() ? "" : " ") + domain;
    return take(Question::domains, all);
  }

  Result<void> target() {
    if (entry_.smtphosts.front().empty()) return {};
    for (std::size_t i = 1; i < entry_.smtphosts.size(); ++i)
      note("smtphost \"" + escape(entry_.smtphosts[i]) + "\" is not carried over: there is one target");
    return take(Question::deliver, target_of(entry_.smtphosts.front(), entry_.is_lmtp));
  }

  void tls() {
    if (entry_.is_ssl) out_.answers.tls = "implicit";
    out_.answers.ca_file = entry_.certificate_file;
    if (!entry_.is_ssl)
      note(
          "TLS is required, by STARTTLS, which fetchmail never used with ODMR; a provider that has none needs "
          "\"--tls none\"");
  }

  FetchmailEntry& entry_;
  FromFetchmail out_;
};

}  // namespace

Result<FromFetchmail> carry_over(Fetchmailrc rc, const std::string& entry) {
  const auto chosen = choose(rc.entries, entry);
  if (!chosen) return fail(chosen.error());
  auto* taken = &rc.entries[static_cast<std::size_t>(*chosen - rc.entries.data())];
  auto out = Carrier(*taken).run(rc.daemon);
  if (!out) return out;
  for (const auto& other : rc.entries) {
    if (&other == taken) continue;
    if (is_odmr(other)) {
      out->notes.push_back("entry " + escape(name_of(other)) + " is not carried over: set it up in a file of its own");
    } else {
      const auto protocol = other.protocol.empty() ? "no protocol" : "protocol " + other.protocol;
      out->notes.push_back("entry " + escape(name_of(other)) + " with " + protocol +
                           " is not carried over: odmr does ODMR only; POP3 and IMAP entries stay with fetchmail");
    }
  }
  return out;
}

Result<FromFetchmail> carry_over_file(const std::string& path, const std::string& entry) {
  const auto contents = config::read_file(path, k_longest_fetchmailrc);
  if (!contents) return fail(contents.error().code, path + ": " + contents.error().text);
  auto rc = parse_fetchmailrc(contents->bytes.text());
  if (!rc) return fail(rc.error().code, path + ": " + rc.error().text);
  auto out = carry_over(std::move(*rc), entry);
  if (!out) return fail(out.error().code, path + ": " + out.error().text);
  return out;
}

}  // namespace odmr::app
