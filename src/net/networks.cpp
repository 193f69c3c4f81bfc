#include "net/networks.hpp"

#include <algorithm>
#include <asio/ip/address.hpp>
#include <optional>

#include "base/ascii.hpp"

namespace odmr::net {

namespace {

using asio::ip::address_v6;

constexpr unsigned k_mapped = 96;  // bits in front of an IPv4 address in IPv6

std::optional<asio::ip::address> parse(std::string_view text) {
  std::error_code error;
  auto address = asio::ip::make_address(text, error);
  if (error) return std::nullopt;
  return address;
}

address_v6 as_v6(const asio::ip::address& address) {
  return address.is_v6() ? address.to_v6() : asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4());
}

// Without its port and brackets; no value for what is no address.
std::optional<asio::ip::address> address_of(const std::string& peer) {
  const auto colon = peer.rfind(':');
  if (colon == std::string::npos || peer.find('/') != std::string::npos) return std::nullopt;
  std::string_view host = std::string_view(peer).substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  return parse(host);
}

bool is_set(const std::array<std::uint8_t, 16>& address, unsigned bit) {
  return ((static_cast<unsigned>(address.at(bit / 8)) >> (7U - bit % 8)) & 1U) != 0;
}

}  // namespace

Result<void> Networks::add(std::string_view network) {
  const auto slash = network.find('/');
  const auto address = parse(network.substr(0, slash));
  const std::string shown = "\"" + escape(network) + "\"";
  if (!address) return fail(Errc::malformed, shown + " is no network; such as \"192.0.2.0/24\" or \"2001:db8::/32\"");
  const unsigned most = address->is_v4() ? 32 : 128;
  const auto bits =
      slash == std::string_view::npos ? std::optional<std::uint64_t>(most) : parse_number(network.substr(slash + 1));
  if (!bits || *bits > most) return fail(Errc::malformed, shown + " has no prefix of 0 to " + std::to_string(most));
  Network added{as_v6(*address).to_bytes(), static_cast<unsigned>(*bits) + (address->is_v4() ? k_mapped : 0)};
  for (unsigned bit = added.bits; bit < 128; ++bit) {
    if (is_set(added.address, bit)) return fail(Errc::malformed, shown + " has bits behind its prefix");
  }
  networks_.push_back(added);
  return {};
}

bool Networks::has(const std::string& peer) const {
  const auto address = address_of(peer);
  if (!address) return false;
  const auto bytes = as_v6(*address).to_bytes();
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network& one) {
    for (unsigned bit = 0; bit < one.bits; ++bit) {
      if (is_set(bytes, bit) != is_set(one.address, bit)) return false;
    }
    return true;
  });
}

std::string counted_as(const std::string& peer) {
  const auto address = address_of(peer);
  if (!address) return {};
  if (address->is_v4()) return address->to_string();
  const auto v6 = address->to_v6();
  // IPv4 at a socket that takes both.
  if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_string();
  auto octets = v6.to_bytes();
  std::fill(octets.begin() + 8, octets.end(), 0);
  return address_v6(octets).to_string() + "/64";
}

}  // namespace odmr::net
