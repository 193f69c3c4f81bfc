#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

// As much of HTTP/1.1 (RFC 9110, RFC 9112) as a page takes that people look at: a request without a body, and its
// reply. Pure.
namespace odmr::http {

struct Request {
  std::string method;
  std::string target;  ///< "/metrics"; what follows "?" is left out
  std::string host;    ///< as the field has it, with its port
};

/// Why a request is not looked at any further: the status to answer with.
struct Refusal {
  int status = 400;
};

/// Nothing that is longer is waited for.
inline constexpr std::size_t k_longest_request = 8192;
inline constexpr std::size_t k_longest_target = 1024;

/// The request at the beginning of `bytes`. No value: it has not come whole. A refusal may come before that:
/// 400, it is no request, or has a body; 414, 431, it is too long; 505, another HTTP.
tl::expected<std::optional<Request>, Refusal> parse_request(std::string_view bytes);

/// Whether a Host field names this machine as people on it do: "localhost", "127.0.0.1", "[::1]", any port behind it.
/// A page of a stranger's name that resolves to 127.0.0.1 (DNS rebinding) has that name in it.
bool is_loopback_host(std::string_view host);

}  // namespace odmr::http
