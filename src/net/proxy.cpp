#include "net/proxy.hpp"

#include <functional>

#include "net/socks.hpp"

namespace odmr::net {

namespace {

template <class Value>
using Parser = socks::Parsed<Value> (*)(std::string_view input);

template <class Value>
Task<Result<Value>> read(Stream& stream, Parser<Value> parse, TimePoint deadline) {
  for (;;) {
    const auto taken = parse(stream.buffered());
    if (!taken) co_return fail(taken.error());
    if (*taken) {
      stream.consume((*taken)->size);
      co_return (*taken)->value;
    }
    const auto filled = co_await stream.fill(deadline);
    if (!filled) co_return fail(filled.error());
  }
}

Duration left(const Stream& stream, TimePoint deadline) {
  return std::max<Duration>(deadline - stream.clock().now(), std::chrono::milliseconds(1));
}

Task<Result<void>> log_in(Stream& stream, const Proxy& proxy, TimePoint deadline) {
  auto said = socks::login(proxy.user, proxy.password.text());
  if (!said) co_return fail(said.error());
  const std::string_view bytes = *said;
  const auto written = co_await stream.write(bytes, left(stream, deadline));
  wipe(*said);
  if (!written) co_return fail(written.error());
  const auto is_in = co_await read<bool>(stream, socks::parse_login_reply, deadline);
  if (!is_in) co_return fail(is_in.error());
  if (!*is_in) co_return fail(Errc::unreachable, "the proxy refuses the login of proxy_user");
  co_return Result<void>();
}

Task<Result<void>> greet(Stream& stream, const Proxy& proxy, TimePoint deadline) {
  const std::string greeting = socks::greeting(!proxy.user.empty());
  const auto written = co_await stream.write(greeting, left(stream, deadline));
  if (!written) co_return fail(written.error());
  const auto method = co_await read<socks::Method>(stream, socks::parse_choice, deadline);
  if (!method) co_return fail(method.error());
  if (*method == socks::Method::none) co_return Result<void>();
  // A choice that we did not offer is none (RFC 1928 3).
  if (*method == socks::Method::password && !proxy.user.empty()) co_return co_await log_in(stream, proxy, deadline);
  co_return fail(Errc::unreachable, proxy.user.empty()
                                        ? "the proxy wants a login: proxy_user and a proxy_password_* key"
                                        : "the proxy takes no login by name and password");
}

}  // namespace

Task<Result<void>> connect_through(Stream& stream, const Proxy& proxy, const std::string& host, std::uint16_t port,
                                   TimePoint deadline) {
  const auto request = socks::connect_request(host, port);
  if (!request) co_return fail(Errc::unreachable, request.error().text);
  auto greeted = co_await greet(stream, proxy, deadline);
  if (!greeted) co_return greeted;
  const std::string_view bytes = *request;
  const auto written = co_await stream.write(bytes, left(stream, deadline));
  if (!written) co_return fail(written.error());
  const auto reply = co_await read<std::uint8_t>(stream, socks::parse_connect_reply, deadline);
  if (!reply) co_return fail(reply.error());
  if (*reply != 0) co_return fail(Errc::unreachable, socks::in_words(*reply));
  co_return Result<void>();
}

}  // namespace odmr::net
