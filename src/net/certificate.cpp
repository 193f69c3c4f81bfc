#include "net/certificate.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>

#include "net/tls.hpp"

namespace odmr::net {

namespace {

constexpr std::size_t k_most_names = 8;

std::string date(WallTime time) {
  return fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::chrono::system_clock::to_time_t(time)));
}

std::string list(const std::vector<std::string>& names) {
  std::string out;
  const std::size_t shown = std::min(names.size(), k_most_names);
  for (std::size_t i = 0; i < shown; ++i) out += (i == 0 ? "" : ", ") + names[i];
  return names.size() > shown ? out + fmt::format(" and {} more", names.size() - shown) : out;
}

}  // namespace

std::string in_words(const Certificate& certificate) {
  const std::string names = certificate.names.empty()
                                ? "it names nobody in subjectAltName, its subject is " + certificate.subject
                                : "it is for " + list(certificate.names);
  return fmt::format("{}, issued by {}, good from {} to {}, public key {}", names, certificate.issuer,
                     date(certificate.not_before), date(certificate.not_after), format_pin(certificate.pin));
}

}  // namespace odmr::net
