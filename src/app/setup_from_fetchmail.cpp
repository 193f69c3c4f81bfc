#include "app/setup_from_fetchmail.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "app/fetchmail_mailbox.hpp"
#include "app/places.hpp"
#include "base/ascii.hpp"
#include "config/file.hpp"

namespace odmr::app {

namespace {

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

// The one with ODMR; null: there is none.
Result<const FetchmailEntry*> choose(const std::vector<FetchmailEntry>& entries, const std::string& wanted) {
  std::vector<const FetchmailEntry*> odmr;
  for (const auto& entry : entries) {
    if (is_odmr(entry)) odmr.push_back(&entry);
  }
  auto candidates = odmr;
  if (!wanted.empty()) {
    std::erase_if(candidates, [&](const auto* one) { return !is_called(*one, wanted); });
  } else if (std::any_of(odmr.begin(), odmr.end(), [](const auto* one) { return !one->is_skipped; })) {
    std::erase_if(candidates, [](const auto* one) { return one->is_skipped; });
  }
  if (candidates.size() > 1) {
    return fail(Errc::not_found,
                "there are several entries with \"protocol odmr\"; choose one with --entry (by host or "
                "user), and set up each in a file of its own: " +
                    names_of(candidates));
  }
  return candidates.empty() ? nullptr : candidates.front();
}

// Entries of other protocols become providers beside it.
void carry_over_others(const Fetchmailrc& rc, const FetchmailEntry* chosen, const std::string& wanted,
                       FromFetchmail& out) {
  std::set<std::string> names{out.answers.name};
  const auto hostname = default_hostname();
  for (const auto& other : rc.entries) {
    if (&other == chosen) continue;
    const std::string who = "entry " + escape(name_of(other));
    if (!wanted.empty() && !is_called(other, wanted)) {
      out.notes.push_back(who + " is not carried over: another one was chosen");
    } else if (is_odmr(other)) {
      out.notes.push_back(who + " is not carried over: set it up in a file of its own");
    } else if (is_carried_protocol(other.protocol)) {
      auto carried = carry_over_mailbox(other, rc.postmaster, hostname, names);
      for (auto& note : carried.notes) out.notes.push_back(std::move(note));
      const bool has_secret = !carried.providers.empty() && carried.providers.front().has_password;
      if (has_secret) out.secrets.push_back({carried.providers.front().secret, Secret(other.password->text())});
      for (auto& provider : carried.providers) out.answers.further.push_back(std::move(provider));
    } else {
      const auto protocol = other.protocol.empty() || other.protocol == "auto"
                                ? "is not carried over: say in it whether it is pop3 or imap"
                                : "with protocol " + other.protocol + " is not carried over: odmr does not speak it";
      out.notes.push_back(who + " " + protocol);
    }
  }
}

// A further provider with the target of all needs none of its own.
void share_target(FromFetchmail& out) {
  auto& deliver = out.answers.deliver;
  // Not while the list of those that the answers have is gone through: an answer is tried on all of them.
  auto further = out.answers.further;
  for (auto& provider : further) {
    if (deliver.empty() && !provider.deliver.empty()) {
      const auto taken = take_answer(Question::deliver, provider.deliver, out.answers);
      if (taken) out.known.insert(Question::deliver);
    }
    if (provider.deliver == deliver) provider.deliver.clear();
  }
  out.answers.further = std::move(further);
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
    return take(Question::deliver, target_of_smtphost(entry_.smtphosts.front(), entry_.is_lmtp));
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

std::string advice_on_mailbox_option(const std::string& option) {
  static const std::map<std::string, std::string> k_advice{
      {"antispam", "what the local target refuses stays there, or is bounced: refused in [provider.NAME]"},
      {"batchlimit", "odmr hands over one message after the other"},
      {"expunge", "what is delivered is on disk here before it is deleted there"},
      {"fetchlimit", "max_minutes and max_bytes in [provider.NAME] end a session"},
      {"fetchsizelimit", "sizes are asked for as they are needed"},
      {"flush", "a message is deleted there once it is delivered, and not before"},
      {"idle", "\"odmr watch\" asks every interval"},
      {"forceidle", "\"odmr watch\" asks every interval"},
      {"limitflush", "what is too large stays there; nothing is deleted that was not delivered"},
      {"warnings", "each run tells of what is too large"},
  };
  const auto found = k_advice.find(option);
  return found == k_advice.end() ? advice_on(option) : found->second;
}

Result<FromFetchmail> carry_over(Fetchmailrc rc, const std::string& entry) {
  const auto chosen = choose(rc.entries, entry);
  if (!chosen) return fail(chosen.error());
  FromFetchmail out;
  if (*chosen != nullptr) {
    auto carried = Carrier(rc.entries[static_cast<std::size_t>(*chosen - rc.entries.data())]).run(rc.daemon);
    if (!carried) return carried;
    out = std::move(*carried);
  } else if (rc.daemon && *rc.daemon > 0) {
    const auto taken = take_answer(Question::interval, std::to_string(*rc.daemon) + "s", out.answers);
    if (taken) out.known.insert(Question::interval);
  }
  carry_over_others(rc, *chosen, entry, out);
  if (*chosen == nullptr) {
    if (out.answers.further.empty()) {
      std::string why = entry.empty() ? "there is no entry that could be carried over"
                                      : "there is no entry \"" + entry + "\" that could be carried over";
      for (const auto& note : out.notes) why += "; " + note;
      return fail(Errc::not_found, why);
    }
    out.answers.has_odmr = false;
    out.answers.logs_in_at_smart_host = false;
    out.known.insert({Question::provider, Question::domains, Question::user, Question::password});
  }
  share_target(out);
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
