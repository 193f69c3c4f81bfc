#include "show/terminal.hpp"

#include <langinfo.h>
#include <clocale>

#include <string_view>

namespace odmr::show {

bool speaks_utf8() {
  const locale_t locale = newlocale(LC_CTYPE_MASK, "", nullptr);
  if (locale == nullptr) return false;
  const bool does = std::string_view(nl_langinfo_l(CODESET, locale)) == "UTF-8";
  freelocale(locale);
  return does;
}

}  // namespace odmr::show
