#include "app/line_settings.hpp"

#include <utility>

#include "app/host_port.hpp"

namespace odmr::app {

namespace {

using config::Table;
using net::IpVersion;

constexpr config::Range<Duration> k_any_timeout{std::chrono::seconds(1), std::chrono::hours(1)};
constexpr config::Range<Duration> k_any_wait{Duration::zero(), std::chrono::hours(1)};
constexpr std::int64_t k_most_minutes = std::int64_t{60} * 24 * 365;
constexpr auto k_wait_after_dialling = std::chrono::minutes(1);

std::string in_words(IpVersion version) {
  return version == IpVersion::v4 ? "IPv4" : "IPv6";
}

// "socks5://HOST:PORT". A name or password in it would stand in every log that shows the URL.
std::shared_ptr<net::Proxy> read_proxy(const Table& table) {
  const auto url = table.text("proxy");
  const auto user = table.text("proxy_user");
  if (!url) {
    if (user && !table.has("proxy")) table.fault("proxy_user", "there is no proxy that it could log in to");
    return nullptr;
  }
  std::string_view rest = *url;
  for (const std::string_view scheme : {"socks5://", "socks5h://"}) {
    if (rest.starts_with(scheme)) rest.remove_prefix(scheme.size());
  }
  const bool has_user = rest.find('@') != std::string_view::npos;
  if (has_user) table.fault("proxy", "leave the user out here; proxy_user and proxy_password_file are for the login");
  const auto where = rest.size() == url->size() || has_user ? std::nullopt : split_host_port(rest);
  if (!where && !has_user) table.fault("proxy", "\"" + *url + "\" is no proxy; write socks5://HOST:PORT");
  if (!where) return nullptr;
  auto proxy = std::make_shared<net::Proxy>();
  proxy->host = where->host;
  proxy->port = where->port.value_or(proxy->port);
  proxy->user = user.value_or("");
  return proxy;
}

void check_proxy_login(const Table& table, const WaySettings& way) {
  const bool has_user = way.way.proxy && !way.way.proxy->user.empty();
  if (has_user && !way.proxy_password) {
    table.fault("proxy_user",
                "needs a password too: proxy_password_file, proxy_password_command, "
                "proxy_password_credential or proxy_password");
  }
  if (!has_user && way.proxy_password) table.fault("proxy_user", "missing; a password for the proxy needs a user");
  const auto good = way.proxy_password ? config::verify(*way.proxy_password) : Result<void>();
  for (const char* key : {"proxy_password_file", "proxy_password_credential", "proxy_password"}) {
    if (!good && table.has(key)) table.fault(key, good.error().text);
  }
}

std::string read_source_address(const Table& table, IpVersion ip) {
  const auto source = table.text("source_address");
  if (!source) return {};
  const auto version = net::ip_version_of(*source);
  if (!version) {
    table.fault("source_address", "\"" + *source + "\" is no address; write one of this host's own, without a port");
  } else if (ip != IpVersion::any && ip != *version) {
    table.fault("source_address", "is an " + in_words(*version) + " address, and ip allows " + in_words(ip) + " alone");
  }
  return *source;
}

}  // namespace

LineSettings read_line(const Table& table) {
  LineSettings line;
  line.dialled.up = table.command("up").value_or(line::Command());
  line.dialled.down = table.command("down").value_or(line::Command());
  line.dialled.up_timeout = table.duration("up_timeout", line.dialled.up_timeout, k_any_timeout);
  line.dialled.down_timeout = table.duration("down_timeout", line.dialled.down_timeout, k_any_timeout);
  // Many a dialler comes back before the line is there: pon(1) does.
  const Duration wait = line.dialled.up.empty() ? Duration::zero() : k_wait_after_dialling;
  line.wait = table.duration("wait", wait, k_any_wait);
  line.budget = read_budget(table, BudgetSettings());
  return line;
}

BudgetSettings read_budget(const Table& table, const BudgetSettings& otherwise) {
  BudgetSettings budget = otherwise;
  const auto minutes = table.integer("max_minutes", {0, k_most_minutes});
  if (minutes) budget.time = *minutes == 0 ? std::nullopt : std::optional<Duration>(std::chrono::minutes(*minutes));
  budget.bytes = table.size("max_bytes", otherwise.bytes);
  budget.message_size = table.size("max_message_size", otherwise.message_size);
  return budget;
}

WaySettings read_way(const Table& table) {
  WaySettings way;
  way.way.ip = table.choice<IpVersion>("ip", {{"any", IpVersion::any}, {"4", IpVersion::v4}, {"6", IpVersion::v6}},
                                       IpVersion::any);
  way.way.source_address = read_source_address(table, way.way.ip);
  const auto proxy = read_proxy(table);
  if (proxy) check_way(table, "proxy", proxy->host, way);
  way.way.proxy = proxy;
  way.proxy_password = config::read_secret_source(table, "proxy_");
  check_proxy_login(table, way);
  return way;
}

void check_way(const Table& table, const std::string& key, const std::string& host, const WaySettings& way) {
  // The proxy has ways of its own.
  if (way.way.proxy) return;
  const auto version = net::ip_version_of(host);
  const auto of_source = net::ip_version_of(way.way.source_address);
  const IpVersion wanted = way.way.ip == IpVersion::any ? of_source.value_or(IpVersion::any) : way.way.ip;
  if (!version || wanted == IpVersion::any || *version == wanted) return;
  table.fault(key, "\"" + host + "\" is an " + in_words(*version) + " address, and " +
                       (way.way.ip == IpVersion::any ? "source_address" : "ip") + " asks for " + in_words(wanted));
}

}  // namespace odmr::app
