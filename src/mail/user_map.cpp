#include "mail/user_map.hpp"

#include <algorithm>
#include <tuple>

#include "base/ascii.hpp"

namespace odmr::mail {

namespace {

// In a local part that is not quoted (RFC 5321 4.1.2), read as leniently as smtp::parse_path() does.
bool needs_no_quotes(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alnum(c) || static_cast<unsigned char>(c) >= 0x80 ||
           std::string_view("!#$%&'*+-/=?^_`{|}~.").find(c) != std::string_view::npos;
  });
}

// Each star takes as little as it can, and more when the rest does not fit: no recursion, at worst the product of both
// lengths, and none of them is longer than a path.
bool fits(std::string_view pattern, std::string_view text) {
  std::size_t in_pattern = 0;
  std::size_t in_text = 0;
  std::size_t star = std::string_view::npos;
  std::size_t taken = 0;
  while (in_text < text.size()) {
    if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
      star = in_pattern++;
      taken = in_text;
    } else if (in_pattern < pattern.size() && pattern[in_pattern] == text[in_text]) {
      ++in_pattern;
      ++in_text;
    } else if (star != std::string_view::npos) {
      in_pattern = star + 1;
      in_text = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', in_pattern) == std::string_view::npos;
}

Result<smtp::Mailbox> target_in(const std::string& text) {
  auto parsed = smtp::parse_path(text, false, false, true);
  const bool is_whole = parsed && parsed->rest.empty() && parsed->path.source_route.empty() && !text.starts_with('<');
  if (!is_whole || text.find('*') != std::string::npos) {
    return fail(Errc::malformed,
                "\"" + escape(text, 100) +
                    "\" is no recipient: write an address (anna@example.org), or a name that the local "
                    "target knows (anna), without stars");
  }
  return std::move(parsed->path.mailbox);
}

}  // namespace

std::string without_needless_quotes(std::string_view local_part) {
  if (local_part.size() < 2 || !local_part.starts_with('"') || !local_part.ends_with('"')) {
    return std::string(local_part);
  }
  std::string inside;
  for (std::size_t i = 1; i + 1 < local_part.size(); ++i) {
    if (local_part[i] == '\\' && i + 2 < local_part.size()) ++i;
    inside += local_part[i];
  }
  return needs_no_quotes(inside) ? inside : std::string(local_part);
}

std::string comparable(const smtp::Mailbox& mailbox) {
  const auto domain = smtp::canonical_domain(mailbox.domain);
  return lower(without_needless_quotes(mailbox.local_part)) + "@" + (domain ? *domain : lower(mailbox.domain));
}

Result<void> UserMap::add(std::string_view pattern, const std::vector<std::string>& targets) {
  const bool any_domain = pattern.ends_with("@*");
  const std::string text = any_domain ? std::string(pattern.substr(0, pattern.size() - 1)) + "any.example" : "";
  const auto parsed = smtp::parse_mailbox(any_domain ? text : pattern);
  const auto domain = parsed ? smtp::canonical_domain(parsed->domain) : Result<std::string>("");
  if (!parsed || !domain) {
    return fail(Errc::malformed, "\"" + escape(pattern, 100) +
                                     "\" is no address: write sales@example.org, info-*@example.org, *@example.org or "
                                     "anna@*");
  }
  std::vector<smtp::Mailbox> mailboxes;
  for (const auto& one : targets) {
    auto target = target_in(one);
    if (!target) return fail(std::move(target.error()));
    mailboxes.push_back(std::move(*target));
  }
  if (mailboxes.empty()) {
    return fail(Errc::malformed, "\"" + escape(pattern, 100) + "\" has no recipient: name one, or leave the line out");
  }
  Pattern made{lower(without_needless_quotes(parsed->local_part)), any_domain ? "" : *domain, std::move(mailboxes)};
  const auto twice =
      fail(Errc::malformed, "\"" + escape(pattern, 100) + "\" is there twice: give all its recipients in one list");
  if (!any_domain && made.local_part.find('*') == std::string::npos) {
    const bool is_new = exact_.emplace(made.local_part + "@" + made.domain, std::move(made.targets)).second;
    return is_new ? Result<void>() : twice;
  }
  const bool is_known = std::any_of(patterns_.begin(), patterns_.end(), [&made](const Pattern& one) {
    return one.local_part == made.local_part && one.domain == made.domain;
  });
  if (is_known) return twice;
  const auto place = std::upper_bound(patterns_.begin(), patterns_.end(), made, is_closer);
  patterns_.insert(place, std::move(made));
  return {};
}

bool UserMap::is_closer(const Pattern& a, const Pattern& b) {
  const auto rank = [](const Pattern& one) {
    const auto stars = std::count(one.local_part.begin(), one.local_part.end(), '*');
    const auto letters = static_cast<std::ptrdiff_t>(one.local_part.size()) - stars;
    return std::make_tuple(-letters, stars > 0, one.domain.empty());
  };
  return rank(a) < rank(b);
}

const std::vector<smtp::Mailbox>* UserMap::find(const smtp::Mailbox& address) const {
  const auto key = comparable(address);
  if (const auto found = exact_.find(key); found != exact_.end()) return &found->second;
  const auto at = key.rfind('@');
  const std::string_view local_part = std::string_view(key).substr(0, at);
  const std::string_view domain = std::string_view(key).substr(at + 1);
  for (const auto& one : patterns_) {
    if ((one.domain.empty() || one.domain == domain) && fits(one.local_part, local_part)) return &one.targets;
  }
  return nullptr;
}

}  // namespace odmr::mail
