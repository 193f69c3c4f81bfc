#include "app/doubts.hpp"

#include "app/recipients_file.hpp"

namespace odmr::app {

namespace {

std::string about_port(std::uint16_t port) {
  switch (port) {
    case 386:
      return "Exim's manual has it by a slip; ODMR is on port 366";
    case 25:
    case 465:
    case 587:
      return "mail is sent there; ODMR is on port 366, mostly";
    default:
      return {};
  }
}

}  // namespace

std::vector<std::string> doubts_about(const Settings& settings) {
  std::vector<std::string> doubts;
  for (const auto& provider : settings.providers) {
    if (provider.protocol != Protocol::odmr) continue;
    const auto port = provider.endpoint.port;
    const auto why = about_port(port);
    if (!why.empty()) doubts.push_back("[provider." + provider.name + "] port = " + std::to_string(port) + ": " + why);
    if (provider.recipients_file.empty()) continue;
    const auto recipients = recipients_to_tell(provider);
    if (!recipients)
      doubts.push_back("[provider." + provider.name + "] recipients_file: " + recipients.error().text +
                       "; the provider is told nothing");
  }
  return doubts;
}

}  // namespace odmr::app
