#include "smtp/path.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "base/ascii.hpp"
#include "smtp/host_name.hpp"

namespace odmr::smtp {

namespace {

// RFC 5321 4.5.3.1.3; of a local part's 64 octets we make no point, since longer ones exist.
constexpr std::size_t k_longest_path = 256;  // with its brackets, so that a domain alone is never too long

// Dots may stand anywhere: "a..b@" and "a.@" break the grammar, but live in the field and harm nobody.
constexpr bool is_dot_string(char c) {
  return is_alnum(c) || is_high(c) || std::string_view("!#$%&'*+-/=?^_`{|}~.").find(c) != std::string_view::npos;
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

// A local part alone. Empty where it does not stand here.
std::string_view leading_bare_name(std::string_view text) {
  const std::string_view name = leading_local_part(text);
  const std::string_view after = text.substr(name.size());
  return after.empty() || after.front() == '>' || after.front() == ' ' ? name : std::string_view();
}

// What stands between the brackets.
Result<Path> take_inside(std::string_view& text, bool allow_bare_postmaster, bool allow_bare_names) {
  Path path;
  auto route = take_source_route(text);
  if (!route) return fail(std::move(route.error()));
  path.source_route = std::move(*route);

  std::string_view bare;
  if (allow_bare_postmaster) bare = leading_postmaster(text);
  if (allow_bare_names) bare = leading_bare_name(text);
  if (path.source_route.empty() && !bare.empty()) {
    path.mailbox.local_part = bare;
    text.remove_prefix(bare.size());
    return path;
  }
  auto mailbox = take_mailbox(text);
  if (!mailbox) return fail(std::move(mailbox.error()));
  path.mailbox = std::move(*mailbox);
  return path;
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

}  // namespace

bool Mailbox::needs_smtputf8() const {
  return !is_ascii(local_part) || !is_ascii(domain);
}

Result<ParsedPath> parse_path(std::string_view text, bool allow_null, bool allow_bare_postmaster,
                              bool allow_bare_names) {
  ParsedPath parsed;
  parsed.rest = text;
  const bool bracketed = text.starts_with('<');
  if (bracketed) parsed.rest.remove_prefix(1);

  if (bracketed && parsed.rest.starts_with('>')) {
    if (!allow_null) return fail(Errc::malformed, "the address is empty");
    parsed.path.is_null = true;
  } else {
    auto path = take_inside(parsed.rest, allow_bare_postmaster, allow_bare_names);
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

bool is_ehlo_name(std::string_view text) {
  return is_host_name(text) || is_address_literal(text);
}

bool routes_onwards(std::string_view local_part) {
  return local_part.find_first_of("%!@") != std::string_view::npos;
}

}  // namespace odmr::smtp
