// fetchmail's run control file: any bytes give entries or say which line is wrong, and never with a word of it.

#include "app/setup_from_fetchmail.hpp"
#include "config/document.hpp"
#include "input.hpp"

using namespace odmr;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto text = fuzz::text(data, size);
  auto rc = app::parse_fetchmailrc(text);
  if (!rc) {
    fuzz::require(!rc.error().text.empty(), "a mistake has words");
    return 0;
  }
  for (const auto& entry : rc->entries) {
    fuzz::require(entry.user.size() <= size && entry.name.size() <= size, "names are words of the file");
    fuzz::require(entry.name.find('\0') == std::string::npos, "no word holds a NUL");
    fuzz::require(!entry.password || entry.password->text().size() <= size, "a password is a word of the file");
  }
  const auto carried = app::carry_over(std::move(*rc), {});
  if (!carried) fuzz::require(!carried.error().text.empty(), "a refusal has words");
  if (!carried) return 0;
  if (carried->password)
    fuzz::require(app::check_password(carried->password->text()).has_value(), "a password can be written");
  for (const auto& one : carried->secrets)
    fuzz::require(app::check_password(one.password.text()).has_value(), "a password can be written");
  for (const auto& one : carried->answers.further)
    fuzz::require(app::check_provider_name(one.name).has_value(), "a provider has a name that can be");
  const auto written = app::configuration_text(carried->answers, "isp.secret");
  fuzz::require(config::Document::parse(written, "odmr.toml").has_value(), "what is written is TOML");
  return 0;
}
