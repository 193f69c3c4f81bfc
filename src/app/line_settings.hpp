#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/document.hpp"
#include "config/secret.hpp"
#include "line/line.hpp"
#include "net/network.hpp"

namespace odmr::app {

/// What a session may cost, on a line that is paid for by the minute or the byte.
struct BudgetSettings {
  std::optional<Duration> time;    ///< max_minutes
  std::uint64_t bytes = 0;         ///< max_bytes; 0: any
  std::uint64_t message_size = 0;  ///< max_message_size; 0: any
};

/// [line]
struct LineSettings {
  line::LineOptions dialled;
  Duration wait = Duration::zero();  ///< once it is up: for the provider to be within reach
  BudgetSettings budget;             ///< of each session; a provider may have its own
};

/// How a connection gets to a provider or a smart host.
struct WaySettings {
  net::Way way;  ///< without the proxy's password
  std::optional<config::SecretSource> proxy_password;
};

LineSettings read_line(const config::Table& table);
/// max_minutes, max_bytes and max_message_size of a table; those that it does not have are `otherwise`'s.
BudgetSettings read_budget(const config::Table& table, const BudgetSettings& otherwise);
/// ip, source_address, proxy, proxy_user and the proxy_password keys.
WaySettings read_way(const config::Table& table);
/// A fault at `key` where the way does not lead to such an address.
void check_way(const config::Table& table, const std::string& key, const std::string& host, const WaySettings& way);

}  // namespace odmr::app
