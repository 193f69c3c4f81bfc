#include "app/recipients_file.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <utility>

#include "base/ascii.hpp"
#include "provider/recipient_book.hpp"
#include "smtp/recipients.hpp"

namespace odmr::app {

namespace {

// With what is wrong with it.
Result<std::string> entry_in(std::string_view text, const std::vector<std::string>& domains) {
  auto entry = smtp::recipient_entry(text);
  if (!entry) return entry;
  const std::string domain = entry->substr(entry->rfind('@') + 1);
  if (domain.empty() || std::find(domains.begin(), domains.end(), domain) != domains.end()) return entry;
  return fail(Errc::malformed, "\"" + escape(text) + "\": " + domain + " is none of the provider's domains");
}

}  // namespace

Result<std::vector<std::string>> recipients_to_tell(const ProviderSettings& provider) {
  const auto& path = provider.recipients_file;
  errno = 0;
  std::ifstream file(path);
  if (!file) return fail(system_error(errno, path));
  std::vector<std::string> entries;
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    const auto text = trim(std::string_view(line).substr(0, line.find('#')));
    if (text.empty()) continue;
    auto entry = entry_in(text, provider.domains);
    if (!entry) return fail(Errc::malformed, path + ":" + std::to_string(number) + ": " + entry.error().text);
    entries.push_back(std::move(*entry));
    if (entries.size() > provider::RecipientList::k_most)
      return fail(Errc::too_long, path + ": more than " + std::to_string(provider::RecipientList::k_most) +
                                      " recipients; write \"@DOMAIN\" for all of a domain");
  }
  if (file.bad()) return fail(Errc::io, path + ": cannot be read");
  return entries;
}

}  // namespace odmr::app
