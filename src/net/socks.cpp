#include "net/socks.hpp"

#include <arpa/inet.h>

#include <array>
#include <cstring>

namespace odmr::net::socks {

namespace {

constexpr char k_version = 5;
constexpr char k_login_version = 1;
constexpr char k_connect = 1;
enum class AddressType : unsigned char { v4 = 1, name = 3, v6 = 4 };
constexpr std::size_t k_most = 255;  // what one octet can count

std::uint8_t octet(std::string_view input, std::size_t at) {
  return static_cast<std::uint8_t>(input[at]);
}

// An octet that counts, and so many behind it.
void add_counted(std::string& out, std::string_view text) {
  out += static_cast<char>(text.size());
  out += text;
}

template <class Address>
std::string bytes_of(const Address& address) {
  std::string bytes(sizeof address, '\0');
  std::memcpy(bytes.data(), &address, sizeof address);
  return bytes;
}

Result<std::string> address_of(const std::string& host) {
  in_addr v4{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return static_cast<char>(AddressType::v4) + bytes_of(v4);
  in6_addr v6{};
  if (::inet_pton(AF_INET6, host.c_str(), &v6) == 1) return static_cast<char>(AddressType::v6) + bytes_of(v6);
  if (host.empty() || host.size() > k_most) return fail(Errc::malformed, "the name is too long for a SOCKS proxy");
  std::string out(1, static_cast<char>(AddressType::name));
  add_counted(out, host);
  return out;
}

tl::unexpected<Error> no_socks() {
  return fail(Errc::malformed, "it does not speak SOCKS5");
}

}  // namespace

std::string greeting(bool has_login) {
  std::string out{k_version, static_cast<char>(has_login ? 2 : 1), static_cast<char>(Method::none)};
  if (has_login) out += static_cast<char>(Method::password);
  return out;
}

Result<std::string> login(std::string_view user, std::string_view password) {
  const auto fits = [](std::string_view text) { return !text.empty() && text.size() <= k_most; };
  if (!fits(user) || !fits(password)) {
    return fail(Errc::malformed, "user and password of a SOCKS proxy have 1 to 255 octets");
  }
  std::string out(1, k_login_version);
  out.reserve(user.size() + password.size() + 3);  // so that no copy of the secret is left behind
  add_counted(out, user);
  add_counted(out, password);
  return out;
}

Result<std::string> connect_request(const std::string& host, std::uint16_t port) {
  const auto address = address_of(host);
  if (!address) return fail(address.error());
  std::string out{k_version, k_connect, '\0'};
  out += *address;
  out += static_cast<char>(port >> 8U);
  out += static_cast<char>(port & 0xffU);
  return out;
}

Parsed<Method> parse_choice(std::string_view input) {
  if (!input.empty() && input[0] != k_version) return no_socks();
  if (input.size() < 2) return std::nullopt;
  return Taken<Method>{static_cast<Method>(octet(input, 1)), 2};
}

Parsed<bool> parse_login_reply(std::string_view input) {
  if (!input.empty() && input[0] != k_login_version) return no_socks();
  if (input.size() < 2) return std::nullopt;
  return Taken<bool>{octet(input, 1) == 0, 2};
}

Parsed<std::uint8_t> parse_connect_reply(std::string_view input) {
  constexpr std::size_t k_before_address = 4;
  if (!input.empty() && input[0] != k_version) return no_socks();
  if (input.size() < 2) return std::nullopt;
  // After a failure the connection is over (RFC 1928 6): whether the address still comes is no matter.
  if (octet(input, 1) != 0) return Taken<std::uint8_t>{octet(input, 1), input.size()};
  if (input.size() < k_before_address + 1) return std::nullopt;
  std::size_t address = 0;
  switch (static_cast<AddressType>(octet(input, 3))) {
    case AddressType::v4:
      address = sizeof(in_addr);
      break;
    case AddressType::v6:
      address = sizeof(in6_addr);
      break;
    case AddressType::name:
      address = 1 + std::size_t{octet(input, k_before_address)};
      break;
    default:
      return no_socks();
  }
  const std::size_t whole = k_before_address + address + 2;
  if (input.size() < whole) return std::nullopt;
  return Taken<std::uint8_t>{0, whole};
}

std::string in_words(std::uint8_t reply) {
  constexpr std::array<const char*, 9> k_words{"succeeded",
                                               "the proxy failed (general SOCKS server failure)",
                                               "the proxy's rules do not allow this connection",
                                               "the proxy says that the network cannot be reached",
                                               "the proxy says that the host cannot be reached, or its name not found",
                                               "the proxy says that the host refused the connection",
                                               "the proxy gave up: the time to live ran out",
                                               "the proxy does not support CONNECT",
                                               "the proxy does not support this type of address"};
  constexpr std::array<const char*, 8> k_words_of_tor{"Tor does not find the onion service",
                                                      "Tor: the onion service's descriptor is not valid",
                                                      "Tor: the introduction to the onion service failed",
                                                      "Tor: the rendezvous with the onion service failed",
                                                      "Tor: the onion service wants a client authorization",
                                                      "Tor: the onion service refused the client authorization",
                                                      "Tor: this is no onion address",
                                                      "Tor: the introduction to the onion service took too long"};
  constexpr std::uint8_t k_first_of_tor = 0xf0;
  if (reply < k_words.size()) return k_words[reply];
  if (reply >= k_first_of_tor && reply - k_first_of_tor < static_cast<int>(k_words_of_tor.size())) {
    return k_words_of_tor[reply - k_first_of_tor];
  }
  return "the proxy answers with the unknown code " + std::to_string(reply);
}

}  // namespace odmr::net::socks
