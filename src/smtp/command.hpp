#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "smtp/path.hpp"
#include "smtp/reply.hpp"

namespace odmr::smtp {

enum class Verb {
  helo,
  ehlo,
  lhlo,
  mail,
  rcpt,
  data,
  bdat,
  rset,
  noop,
  vrfy,
  expn,
  help,
  quit,
  starttls,
  auth,
  atrn,
  etrn,
  turn,
  xhold,        ///< our own: ATRN may be answered when mail comes (provider/dialogue)
  xkeep,        ///< likewise: the turned line may be kept when all is sent
  xrecipients,  ///< likewise: the recipients that there are are told
  unknown,
};

/// A command line, without its CRLF: the verb (case does not matter) and the rest after the spaces, tail trimmed.
struct Command {
  Verb verb = Verb::unknown;
  std::string argument;
};
Command parse_command(std::string_view line);
/// The line as a trace may show it: AUTH without its initial response (RFC 4954 4), which may be the password, whether
/// or not anybody asked for it. Any other line is as it was.
std::string without_secret(std::string_view line);
/// A reply, its lines joined, likewise: 334 without its challenge. From salt, nonces and the server's signature of
/// SCRAM a password could be guessed at leisure.
std::string without_secret(const Reply& reply);
/// "MAIL" …; "unknown" for Verb::unknown.
std::string_view name(Verb verb);

/// An esmtp-param (RFC 5321 4.1.2): keyword in upper case, value as written; no value without "=".
struct Parameter {
  std::string keyword;
  std::optional<std::string> value;
  friend bool operator==(const Parameter&, const Parameter&) = default;
};
using Parameters = std::vector<Parameter>;
/// The value of a parameter, nullptr when it is not there.
const Parameter* find(const Parameters& parameters, std::string_view keyword);

enum class BodyType { unspecified, seven_bit, eight_bit_mime, binary_mime };

/// MAIL FROM:<…> with what we know of parameters read out; unknown ones are an error for the caller (555).
struct MailCommand {
  Path reverse_path;
  std::optional<std::uint64_t> size;  ///< RFC 1870
  BodyType body = BodyType::unspecified;
  bool smtputf8 = false;  ///< RFC 6531
  std::string ret;        ///< RFC 3461: "FULL" or "HDRS"; empty without
  std::string envid;      ///< RFC 3461, xtext as written; empty without
  std::string auth;       ///< RFC 4954, as written: read so that it can be dropped
  bool prdr = false;      ///< draft-hall-prdr: a reply per recipient to the content
};

/// RCPT TO:<…>.
struct RcptCommand {
  Path forward_path;
  std::string notify;  ///< RFC 3461, as written; empty without
  std::string orcpt;   ///< RFC 3461, as written; empty without
};

/// What a peer has sent behind MAIL in the same group (RFC 2920), as far as it is here.
struct Ahead {
  std::vector<RcptCommand> recipients;
  bool content = false;  ///< DATA, or BDAT, behind them
};

/// What is wrong with a command, as the reply says it.
struct Refusal {
  int code = 501;
  std::string text;  ///< with the enhanced code in front: "5.5.4 …"
};
template <class T>
using Parsed = tl::expected<T, Refusal>;

/// `argument` is what follows the verb ("FROM:<a@b> SIZE=1"); spaces after the colon are put up with, as the example
/// of RFC 2645 itself has one. `allow_bare_names` as in parse_path(). Refusals: 501 syntax, 555 unknown or twice given
/// parameter, 553 for a path that is too long or not UTF-8. SIZE takes at most 20 digits (more than 64 bits hold: the
/// largest number there is); ENVID and ORCPT must be xtext that decodes to printable ASCII, though an ORCPT of type
/// utf-8 may hold UTF-8 (RFC 6533 3).
Parsed<MailCommand> parse_mail(std::string_view argument, bool allow_bare_names = false);
Parsed<RcptCommand> parse_rcpt(std::string_view argument, bool allow_bare_names = false);

/// RFC 2645 5.2.1: the domains of ATRN, none for a bare ATRN, in canonical form (canonical_domain). 501 otherwise; a
/// space around a comma, a single label and U-labels are refused, as the grammar has none of them.
Parsed<std::vector<std::string>> parse_atrn(std::string_view argument);

/// RFC 1985 5.2.
struct EtrnCommand {
  enum class Kind {
    node,            ///< this domain
    with_all_below,  ///< "@": and all that end in it
    queue,           ///< "#": a name that the server has given to some mail
  };
  Kind kind = Kind::node;
  std::string name;  ///< canonical (canonical_domain), but for a queue's
};
/// 500 without an argument, 501 for one that is none.
Parsed<EtrnCommand> parse_etrn(std::string_view argument);

struct BdatCommand {
  std::uint64_t size = 0;
  bool last = false;
};
Parsed<BdatCommand> parse_bdat(std::string_view argument);

/// The longest command line we write, CRLF included (RFC 5321 4.5.3.1.4).
inline constexpr std::size_t k_longest_command = 512;

/// The one place where a command line that we send comes into being: refuses control characters and, over
/// `longest` octets with CRLF, length. Gives the line with CRLF.
Result<std::string> command_line(std::string_view text, std::size_t longest = k_longest_command);

/// What a transaction asks of the next hop, beyond the path.
struct MailOptions {
  std::optional<std::uint64_t> size;
  BodyType body = BodyType::unspecified;
  bool smtputf8 = false;
  std::string ret;
  std::string envid;
};
/// "MAIL FROM:<…> …" with CRLF, a source route left out. Lines may grow by what the extensions in use add (RFC 1870 26,
/// RFC 6152 17, RFC 6531 10, RFC 3461 116 octets for MAIL and 536 for RCPT). A path or value that would not be read
/// back as itself is refused.
Result<std::string> mail_line(const Path& reverse_path, const MailOptions& options);
Result<std::string> rcpt_line(const Mailbox& recipient, std::string_view notify = {}, std::string_view orcpt = {});

/// Spreads `domains` over as few "ATRN a,b,c" lines as 512 octets each allow, in their order. No domains, no lines: a
/// bare ATRN asks for everything and must be meant.
std::vector<std::vector<std::string>> split_for_atrn(const std::vector<std::string>& domains);
/// "ATRN" or "ATRN a,b" with CRLF, the domains in canonical form.
Result<std::string> atrn_line(const std::vector<std::string>& domains);

}  // namespace odmr::smtp
