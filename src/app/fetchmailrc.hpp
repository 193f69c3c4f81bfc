#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/secret.hpp"

namespace odmr::app {

/// `envelope`: the field that says for whom a message is.
struct FetchmailEnvelope {
  std::string name;
  std::uint64_t skipped = 0;  ///< of those with this name, from the top
};

/// One user at one server of a fetchmailrc, with what `defaults` gives him: what fetchmail would poll.
struct FetchmailEntry {
  std::string name;         ///< behind `poll` or `skip`
  bool is_skipped = false;  ///< `skip`: polled only when it is named
  std::string protocol;     ///< "odmr", "pop3" …, lower case; empty where none is given
  std::string via;          ///< the real host; empty: the name is it
  std::string service;      ///< a port's number, or its name in services(5); empty: the protocol's own
  std::string user;         ///< at the server; empty where none is given
  std::optional<Secret> password;
  std::vector<std::string> fetchdomains;
  std::vector<std::string> smtphosts;  ///< "HOST", "HOST/PORT", "/SOCKET"
  bool is_lmtp = false;
  bool is_ssl = false;                      ///< TLS from the first byte
  std::string certificate_file;             ///< sslcertfile
  std::optional<std::string> ssl_protocol;  ///< sslproto; empty: no TLS

  // Of mailboxes.
  bool keeps = false;
  bool fetches_all = false;
  std::vector<std::string> folders;
  /// Who it is for: a name at the server, which may be "*", and who has it here.
  struct LocalName {
    std::string there;
    std::string here;
  };
  std::vector<LocalName> local_names;
  std::optional<FetchmailEnvelope> envelope;
  bool has_no_envelope = false;            ///< `no envelope`
  std::string virtual_prefix;              ///< qvirtual
  std::vector<std::string> aliases;        ///< aka
  std::vector<std::string> local_domains;  ///< localdomains
  std::string smtp_address;                ///< smtpaddress
  std::string smtp_name;                   ///< smtpname
  std::uint64_t limit = 0;                 ///< octets; 0: none

  std::vector<std::string> others;  ///< every option of no place above the mailboxes' that was set, by name, once

  /// Where it connects to.
  const std::string& host() const { return via.empty() ? name : via; }
};

struct Fetchmailrc {
  std::vector<FetchmailEntry> entries;
  std::optional<std::uint64_t> daemon;  ///< `set daemon`: seconds between polls
  std::string postmaster;               ///< `set postmaster`
};

/// The longest such file that is read, in bytes.
inline constexpr std::size_t k_longest_fetchmailrc = std::size_t{256} * 1024;

/// Reads fetchmail's run control file as fetchmail 6.4 does: words, quotes and escapes, noise words, server options
/// before user options. Errors: malformed, with the line and never with a word that may be a password; too_long.
Result<Fetchmailrc> parse_fetchmailrc(std::string_view text);

}  // namespace odmr::app
