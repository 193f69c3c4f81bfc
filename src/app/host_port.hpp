#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace odmr::app {

/// A host as it stands in a configuration.
struct HostPort {
  std::string host;
  std::optional<std::uint16_t> port;  ///< none where none is given
};

/// "HOST", "HOST:PORT", "[ADDRESS]:PORT".
std::optional<HostPort> split_host_port(std::string_view text);
/// The same, and an IPv6 address without brackets, which has no port then.
std::optional<HostPort> split_host(std::string_view text);

}  // namespace odmr::app
