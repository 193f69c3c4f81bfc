#include "mail/list_mail.hpp"

#include <string>

#include "base/ascii.hpp"
#include "mail/addresses.hpp"
#include "mail/fields.hpp"
#include "smtp/path.hpp"

namespace odmr::mail {

namespace {

bool is_owner(std::string_view body) {
  const auto addresses = addresses_in(body, true);
  return addresses && addresses->size() == 1 && starts_with_ignoring_case(addresses->front(), "owner-");
}

// RFC 2369, RFC 2919, and what was there before them: Mailing-List and "Delivered-To: mailing list" (ezmlm, groups.io),
// X-Mailing-List (vger), X-BeenThere (Mailman), owner-LIST (Majordomo, Listserv).
bool marks_list(const Field& field) {
  if (field.is_one_of({"Mailing-List", "X-Mailing-List", "X-BeenThere", "X-Google-Group-Id"})) return true;
  // "NO": nobody may write to it (RFC 2369 3.4).
  if (field.is("List-Post")) return !starts_with_ignoring_case(field.value(), "NO");
  if (field.is("Precedence")) return starts_with_ignoring_case(field.value(), "list");
  if (field.is("Delivered-To")) return starts_with_ignoring_case(field.value(), "mailing list ");
  return (field.is("Sender") || field.is("Return-Path")) && is_owner(field.body);
}

bool is_in_domain(std::string_view name, std::string_view domain) {
  const auto canonical = smtp::canonical_domain(name);
  return canonical && (*canonical == domain || canonical->ends_with("." + std::string(domain)));
}

}  // namespace

ListKind kind_of_list(std::string_view header) {
  bool is_list = false;
  bool has_list_field = false;
  bool is_bulk = false;
  bool is_answer = false;  // RFC 3834: a vacation program's, which may call itself bulk
  for_each_field(header, [&](const Field& field) {
    is_list = is_list || marks_list(field);
    has_list_field = has_list_field || starts_with_ignoring_case(field.name, "List-");
    if (field.is("Precedence")) is_bulk = is_bulk || starts_with_ignoring_case(field.value(), "bulk");
    if (field.is("Auto-Submitted")) is_answer = starts_with_ignoring_case(field.value(), "auto-replied");
  });
  if (is_list) return ListKind::discussion;
  return has_list_field || (is_bulk && !is_answer) ? ListKind::newsletter : ListKind::none;
}

bool is_list_run_from(std::string_view domain, std::string_view header) {
  bool is_so = false;
  for_each_field(header, [&](const Field& field) {
    if (field.is("List-Id")) {
      const auto value = field.value();
      const auto open = value.rfind('<') + 1;  // 0 without
      is_so = is_so || is_in_domain(std::string_view(value).substr(open, value.find('>', open) - open), domain);
    }
    if (!field.is_one_of({"Return-Path", "Sender", "Errors-To"})) return;
    const auto addresses = addresses_in(field.body, true);
    if (!addresses || addresses->empty()) return;
    const auto& last = addresses->back();
    is_so = is_so || is_in_domain(std::string_view(last).substr(last.rfind('@') + 1), domain);
  });
  return is_so;
}

}  // namespace odmr::mail
