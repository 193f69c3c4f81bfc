#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"

namespace odmr::smtp {

/// A mailbox as it stood in a path (RFC 5321 4.1.2). Both parts are kept to the letter, quotes included, since they
/// are passed on; compare domains with same_domain() or canonical_domain().
struct Mailbox {
  std::string local_part;  ///< as written: dot-string or quoted-string
  std::string domain;      ///< as written; "[…]" for an address literal; empty for a bare name

  std::string text() const { return domain.empty() ? local_part : local_part + "@" + domain; }
  bool needs_smtputf8() const;  ///< whether local part or domain holds bytes outside ASCII
  friend bool operator==(const Mailbox&, const Mailbox&) = default;
};

/// What stood between the angle brackets.
struct Path {
  bool is_null = false;      ///< "<>", the null reverse-path
  std::string source_route;  ///< "@a,@b" of an obsolete source route, empty without
  Mailbox mailbox;

  std::string text() const { return is_null ? std::string() : mailbox.text(); }
  friend bool operator==(const Path&, const Path&) = default;
};

/// Reads a path at the start of `text`, "<" to ">", and gives what follows it. Also takes a mailbox without brackets,
/// ended by a space, as some clients send. Bytes outside ASCII are taken where they are UTF-8 (RFC 6531); so are dots
/// anywhere in an unquoted local part and underscores in the domain, which exist ("a..b@", "x@mail_1.example").
/// `allow_null`: "<>" is a path. `allow_bare_postmaster`: "<postmaster>" is one (RFC 5321 4.5.1). `allow_bare_names`:
/// so is any local part alone ("<root>"), as programs of this host give them; the domain is empty then. Errors:
/// malformed; too_long (the path with its brackets over 256 octets, which bounds the domain as well; a local part may
/// take more of them than the 64 of RFC 5321, since such addresses exist).
struct ParsedPath {
  Path path;
  std::string_view rest;
};
Result<ParsedPath> parse_path(std::string_view text, bool allow_null, bool allow_bare_postmaster,
                              bool allow_bare_names = false);

/// A whole text that is one mailbox, "local@domain".
Result<Mailbox> parse_mailbox(std::string_view text);

/// The form in which domains are compared: A-labels (IDNA 2008, with the compatibility mapping of UTS 46), lower
/// case. No value for what is no host name: an empty label (a trailing dot too), bad characters (the underscore too), a
/// label over 63 or a name over 255 octets. An address literal "[…]" is no domain here. A-labels are not looked into.
Result<std::string> canonical_domain(std::string_view domain);

/// Whether the text is a name as EHLO may give it: a domain of LDH labels (one label is enough) or an address literal.
bool is_ehlo_name(std::string_view text);

/// Whether an MTA that trusts us might route such a local part onwards: it holds '%', '!', or an '@' inside its quotes.
bool routes_onwards(std::string_view local_part);

}  // namespace odmr::smtp
