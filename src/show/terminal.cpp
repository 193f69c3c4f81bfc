#include "show/terminal.hpp"

#include <langinfo.h>
#include <unistd.h>

#include <clocale>
#include <cstdlib>
#include <string_view>

namespace odmr::show {

bool speaks_utf8() {
  const locale_t locale = newlocale(LC_CTYPE_MASK, "", nullptr);
  if (locale == nullptr) return false;
  const bool does = std::string_view(nl_langinfo_l(CODESET, locale)) == "UTF-8";
  freelocale(locale);
  return does;
}

bool can_erase(std::FILE* terminal) {
  const char* term = std::getenv("TERM");
  return isatty(fileno(terminal)) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

void print_for_now(std::FILE* terminal, const std::string& line) {
  (void)std::fputs(line.c_str(), terminal);
  (void)std::fflush(terminal);
}

void erase_line(std::FILE* terminal) {
  (void)std::fputs("\r\x1b[K", terminal);
  (void)std::fflush(terminal);
}

}  // namespace odmr::show
