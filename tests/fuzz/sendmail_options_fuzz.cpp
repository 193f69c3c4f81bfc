// sendmail(1)'s options: any words give options or say what is wrong with them. Words end in NUL.

#include "app/sendmail_options.hpp"
#include "input.hpp"

using namespace odmr;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto bytes = fuzz::text(data, size);
  std::vector<std::string> words;
  while (!bytes.empty() && words.size() < 100) {
    const auto end = bytes.find('\0');
    words.emplace_back(bytes.substr(0, end));
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
  }
  const auto parsed = app::parse_sendmail(words);
  if (!parsed) fuzz::require(!parsed.error().text.empty(), "a mistake has words");
  if (parsed) fuzz::require(parsed->recipients.size() <= words.size(), "recipients are words");
  words.insert(words.begin(), "odmr");
  (void)app::sendmail_call(words);
  words.front() = "/usr/sbin/sendmail";
  const auto call = app::sendmail_call(words);
  fuzz::require(call.has_value(), "sendmail is sendmail");
  (void)app::parse_sendmail(call->arguments, call->start);
  return 0;
}
