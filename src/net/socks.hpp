#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"

/// The client's half of SOCKS5 (RFC 1928, RFC 1929): values to bytes and back. The conversation is in net/proxy.hpp.
namespace odmr::net::socks {

enum class Method : unsigned char { none = 0x00, password = 0x02, refused = 0xff };

/// The first message: that we can do without a login, and with one where there is one.
std::string greeting(bool has_login);
/// User and password, 1 to 255 octets each (RFC 1929 2). The bytes are a secret. Error: malformed.
Result<std::string> login(std::string_view user, std::string_view password);
/// CONNECT to a name of 1 to 255 octets, or an address, which is sent as one. Error: malformed.
Result<std::string> connect_request(const std::string& host, std::uint16_t port);

/// What stands at the beginning of the input, and how many bytes it takes; no value while it is not all there. Errors:
/// malformed.
template <class Value>
struct Taken {
  Value value;
  std::size_t size = 0;
};
template <class Value>
using Parsed = Result<std::optional<Taken<Value>>>;

/// The proxy's choice among the methods.
Parsed<Method> parse_choice(std::string_view input);
/// Whether the login is accepted.
Parsed<bool> parse_login_reply(std::string_view input);
/// The reply code of CONNECT; 0 is success. The address behind it says nothing to us.
Parsed<std::uint8_t> parse_connect_reply(std::string_view input);

/// A reply code in words; those of Tor too (its socks-extensions, ExtendedErrors).
std::string in_words(std::uint8_t reply);

}  // namespace odmr::net::socks
