#include "app/host_port.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "net/network.hpp"

namespace odmr::app {

std::optional<HostPort> split_host_port(std::string_view text) {
  HostPort out;
  std::string_view after;
  if (!text.empty() && text.front() == '[') {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    out.host = text.substr(1, close - 1);
    after = text.substr(close + 1);
  } else {
    const auto colon = std::min(text.find(':'), text.size());
    out.host = text.substr(0, colon);
    after = text.substr(colon);
  }
  if (out.host.empty()) return std::nullopt;
  if (after.empty()) return out;
  const auto port = after.front() == ':' ? parse_number(after.substr(1)) : std::nullopt;
  if (!port || *port == 0 || *port > 65535) return std::nullopt;
  out.port = static_cast<std::uint16_t>(*port);
  return out;
}

std::optional<HostPort> split_host(std::string_view text) {
  if (net::ip_version_of(std::string(text)) == net::IpVersion::v6) return HostPort{std::string(text), std::nullopt};
  return split_host_port(text);
}

}  // namespace odmr::app
