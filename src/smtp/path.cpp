#include "smtp/path.hpp"

#include <arpa/inet.h>
#include <idn2.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/ascii.hpp"

namespace odmr::smtp {

namespace {

// RFC 5321 4.5.3.1; of a local part's 64 octets we make no point, since longer ones exist.
constexpr std::size_t k_longest_domain = 255;
constexpr std::size_t k_longest_path = 256;  // with its brackets, so that a domain alone is never too long
constexpr std::size_t k_longest_label = 63;

// A byte of a UTF-8 sequence (RFC 6531 3.3 adds UTF8-non-ascii wherever letters may stand).
constexpr bool is_high(char c) {
  return static_cast<unsigned char>(c) >= 0x80;
}

// Dots may stand anywhere: "a..b@" and "a.@" break the grammar, but live in the field and harm nobody.
constexpr bool is_dot_string(char c) {
  return is_alnum(c) || is_high(c) || std::string_view("!#$%&'*+-/=?^_`{|}~.").find(c) != std::string_view::npos;
}

// The underscore is no letter of host names, but mail does come from such domains.
constexpr bool is_domain_letter(char c) {
  return is_alnum(c) || is_high(c) || c == '-' || c == '_' || c == '.';
}

constexpr bool is_literal_letter(char c) {
  return is_alnum(c) || c == '.' || c == ':' || c == '-';
}

template <class Predicate>
std::string_view leading(std::string_view text, Predicate belongs) {
  const auto end = std::find_if_not(text.begin(), text.end(), belongs);
  return text.substr(0, static_cast<std::size_t>(end - text.begin()));
}

// Quotes included; empty when the string does not end or holds what it must not (RFC 5321 4.1.2).
std::string_view leading_quoted_string(std::string_view text) {
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') return text.substr(0, i + 1);
    if (text[i] == '\\' && (++i == text.size() || is_high(text[i]))) return {};
    if (is_control(text[i])) return {};
  }
  return {};
}

std::string_view leading_local_part(std::string_view text) {
  return text.starts_with('"') ? leading_quoted_string(text) : leading(text, is_dot_string);
}

std::string_view leading_domain(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t inside = leading(text.substr(1), is_literal_letter).size();
    const bool closed = inside > 0 && text.substr(1 + inside).starts_with(']');
    return closed ? text.substr(0, inside + 2) : std::string_view();
  }
  const std::string_view domain = leading(text, is_domain_letter);
  const bool empty_label =
      domain.starts_with('.') || domain.ends_with('.') || domain.find("..") != std::string_view::npos;
  return empty_label ? std::string_view() : domain;
}

Result<Mailbox> take_mailbox(std::string_view& text) {
  const std::string_view local_part = leading_local_part(text);
  if (local_part.empty()) return fail(Errc::malformed, "the address has no local part");
  text.remove_prefix(local_part.size());
  if (!text.starts_with('@')) return fail(Errc::malformed, "the address has no @ after its local part");
  text.remove_prefix(1);
  const std::string_view domain = leading_domain(text);
  if (domain.empty()) return fail(Errc::malformed, "the address has no domain");
  text.remove_prefix(domain.size());
  return Mailbox{std::string(local_part), std::string(domain)};
}

// RFC 5321 appendix C: "@a,@b:" before the mailbox, obsolete. Empty where there is none.
Result<std::string> take_source_route(std::string_view& text) {
  const std::string_view begin = text;
  while (text.starts_with('@')) {
    text.remove_prefix(1);
    const std::string_view domain = leading_domain(text);
    if (domain.empty()) return fail(Errc::malformed, "the source route has an empty domain");
    text.remove_prefix(domain.size());
    if (text.starts_with(",@")) {
      text.remove_prefix(1);
    } else if (!text.starts_with(':')) {
      return fail(Errc::malformed, "the source route does not end in a colon");
    }
  }
  const std::string_view route = begin.substr(0, begin.size() - text.size());
  if (!route.empty()) text.remove_prefix(1);
  return std::string(route);
}

// RFC 5321 4.5.1: the one address without a domain. Empty where it does not stand here.
std::string_view leading_postmaster(std::string_view text) {
  constexpr std::string_view name = "postmaster";
  if (!starts_with_ignoring_case(text, name)) return {};
  const std::string_view after = text.substr(name.size());
  return after.empty() || after.front() == '>' || after.front() == ' ' ? text.substr(0, name.size())
                                                                       : std::string_view();
}

// What stands between the brackets.
Result<Path> take_inside(std::string_view& text, bool allow_bare_postmaster) {
  Path path;
  auto route = take_source_route(text);
  if (!route) return fail(std::move(route.error()));
  path.source_route = std::move(*route);

  const std::string_view postmaster = leading_postmaster(text);
  if (allow_bare_postmaster && path.source_route.empty() && !postmaster.empty()) {
    path.mailbox.local_part = postmaster;
    text.remove_prefix(postmaster.size());
    return path;
  }
  auto mailbox = take_mailbox(text);
  if (!mailbox) return fail(std::move(mailbox.error()));
  path.mailbox = std::move(*mailbox);
  return path;
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= k_longest_label && is_alnum(label.front()) && is_alnum(label.back()) &&
         std::all_of(label.begin(), label.end(), [](char c) { return is_alnum(c) || c == '-'; });
}

// A host name of LDH labels (RFC 1123 2.1).
bool is_host_name(std::string_view name) {
  if (name.size() > k_longest_domain) return false;
  for (;;) {
    const std::size_t dot = std::min(name.find('.'), name.size());
    if (!is_label(name.substr(0, dot))) return false;
    if (dot == name.size()) return true;
    name.remove_prefix(dot + 1);
  }
}

bool is_address(int family, std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) return false;
  std::array<unsigned char, sizeof(in6_addr)> address{};
  return inet_pton(family, std::string(text).c_str(), address.data()) == 1;
}

bool is_address_literal(std::string_view text) {
  if (text.size() < 2 || !text.starts_with('[') || !text.ends_with(']')) return false;
  text = text.substr(1, text.size() - 2);
  constexpr std::string_view tag = "IPv6:";
  return starts_with_ignoring_case(text, tag) ? is_address(AF_INET6, text.substr(tag.size()))
                                              : is_address(AF_INET, text);
}

// The A-labels of a name that has U-labels; whatever libidn2 gives is still to be checked.
Result<std::string> to_a_labels(std::string_view domain) {
  std::uint8_t* found = nullptr;
  const std::string terminated(domain);
  const int status = idn2_lookup_u8(reinterpret_cast<const std::uint8_t*>(terminated.c_str()), &found,
                                    IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  if (status != IDN2_OK) return fail(Errc::malformed, "not a domain: " + std::string(idn2_strerror(status)));
  const std::unique_ptr<std::uint8_t, void (*)(void*)> owner(found, idn2_free);
  return std::string(reinterpret_cast<const char*>(found));
}

}  // namespace

bool Mailbox::needs_smtputf8() const {
  return !is_ascii(local_part) || !is_ascii(domain);
}

Result<ParsedPath> parse_path(std::string_view text, bool allow_null, bool allow_bare_postmaster) {
  ParsedPath parsed;
  parsed.rest = text;
  const bool bracketed = text.starts_with('<');
  if (bracketed) parsed.rest.remove_prefix(1);

  if (bracketed && parsed.rest.starts_with('>')) {
    if (!allow_null) return fail(Errc::malformed, "the address is empty");
    parsed.path.is_null = true;
  } else {
    auto path = take_inside(parsed.rest, allow_bare_postmaster);
    if (!path) return fail(std::move(path.error()));
    parsed.path = std::move(*path);
  }
  if (bracketed) {
    if (!parsed.rest.starts_with('>')) return fail(Errc::malformed, "the address does not end in >");
    parsed.rest.remove_prefix(1);
  } else if (!parsed.rest.empty() && parsed.rest.front() != ' ') {
    return fail(Errc::malformed, "something other than a space follows the address");
  }

  const std::string_view taken = text.substr(0, text.size() - parsed.rest.size());
  if (taken.size() + (bracketed ? 0 : 2) > k_longest_path) return fail(Errc::too_long, "the address is too long");
  if (!is_utf8(taken)) return fail(Errc::malformed, "the address is not UTF-8");
  return parsed;
}

Result<Mailbox> parse_mailbox(std::string_view text) {
  auto parsed = parse_path(text, false, false);
  if (!parsed) return fail(std::move(parsed.error()));
  if (text.starts_with('<') || !parsed->path.source_route.empty() || !parsed->rest.empty()) {
    return fail(Errc::malformed, "more than one address, and nothing else, is wanted here");
  }
  return std::move(parsed->path.mailbox);
}

Result<std::string> canonical_domain(std::string_view domain) {
  // Before libidn2, which would stop at a NUL and works in quadratic time on a long label.
  if (!std::all_of(domain.begin(), domain.end(), is_domain_letter)) {
    return fail(Errc::malformed, "a domain has letters, digits, hyphens and dots only");
  }
  if (domain.size() > 4 * k_longest_domain) return fail(Errc::too_long, "the domain is too long");

  std::string out = lower(domain);
  // A name that is ASCII stays as it is: whether it is in the DNS is no question of IDNA's rules, and many that they
  // refuse are ("r3---sn-x", A-labels of emoji).
  if (!is_ascii(domain)) {
    auto converted = to_a_labels(domain);
    if (!converted) return converted;
    out = lower(*converted);
  }
  if (!is_host_name(out)) {
    return fail(out.size() > k_longest_domain ? Errc::too_long : Errc::malformed, "not a domain name");
  }
  return out;
}

bool is_ehlo_name(std::string_view text) {
  return is_host_name(text) || is_address_literal(text);
}

bool routes_onwards(std::string_view local_part) {
  return local_part.find_first_of("%!@") != std::string_view::npos;
}

}  // namespace odmr::smtp
