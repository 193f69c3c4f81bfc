#include "collect/wire.hpp"

#include <utility>

#include "net/certificate.hpp"

namespace odmr::collect {

using net::Task;

namespace {

constexpr auto k_farewell = std::chrono::seconds(2);

}  // namespace

Wire::Wire(net::Stream stream, const client::Server& server, Log& log)
    : stream_(std::move(stream)), server_(server), log_(log), patience_(server.patience.command) {}

Task<Result<std::string>> Wire::read_line(std::size_t longest) {
  co_return co_await read_line(longest, server_.patience.command);
}

Task<Result<std::string>> Wire::read_line(std::size_t longest, Duration patience) {
  const TimePoint deadline = stream_.clock().now() + patience;
  for (std::size_t looked_at = 0;;) {
    const std::string_view bytes = stream_.buffered();
    const auto end = bytes.find('\n', looked_at);
    if (end != std::string_view::npos && end < longest) {
      std::string line(bytes.substr(0, end > 0 && bytes[end - 1] == '\r' ? end - 1 : end));
      stream_.consume(end + 1);
      // From salt, nonces and signatures of SCRAM a password could be guessed at leisure.
      const bool is_challenge = line.starts_with("+ ");
      if (log_.wants(Level::trace))
        log_.trace("<", {{"peer", stream_.peer()}, {"line", is_challenge ? std::string("+ *****") : line}});
      co_return line;
    }
    looked_at = bytes.size();
    if (looked_at >= longest) co_return fail(Errc::too_long, stream_.peer() + ": a line that is too long");
    const auto filled = co_await stream_.fill(deadline);
    if (!filled) co_return fail(filled.error());
  }
}

Task<Result<void>> Wire::fill() {
  co_return co_await stream_.fill(stream_.clock().now() + patience_);
}

Task<Result<void>> Wire::send(std::string_view lines, std::string_view shown) {
  if (log_.wants(Level::trace)) {
    std::string_view told = shown.empty() ? lines : shown;
    while (!told.empty() && (told.back() == '\n' || told.back() == '\r')) told.remove_suffix(1);
    log_.trace(">", {{"peer", stream_.peer()}, {"line", std::string(told)}});
  }
  co_return co_await stream_.write(lines, server_.patience.silence);
}

Task<> Wire::part(std::string line) {
  const TimePoint deadline = stream_.clock().now() + k_farewell;
  const auto sent = co_await send(line);
  for (bool goes_on = sent.has_value(); goes_on;) {
    stream_.consume(stream_.buffered().size());
    const auto filled = co_await stream_.fill(deadline);
    goes_on = filled.has_value();
  }
  stream_.close();
}

Task<std::optional<client::OpenFailure>> Wire::begin_tls(const client::OnStep* on_step) {
  const TimePoint deadline = stream_.clock().now() + server_.patience.connect;
  const auto begun = co_await stream_.start_tls_client(server_.tls_context, server_.endpoint.host, deadline);
  if (!begun) {
    client::OpenFailure failure = client::wire_failure(client::Step::tls, begun.error());
    if (begun.error().code == Errc::malformed) failure.outcome = Outcome::tls;
    co_return failure;
  }
  const net::TlsFacts& tls = *stream_.tls();
  if (on_step == nullptr) co_return std::nullopt;
  (*on_step)(client::Reached{client::Step::tls, tls.version + " " + tls.cipher, std::nullopt});
  if (tls.certificate)
    (*on_step)(client::Reached{client::Step::certificate, net::in_words(*tls.certificate), tls.certificate});
  co_return std::nullopt;
}

bool is_in_step_after(const client::OpenFailure& failure) {
  if (failure.interrupted) return false;
  switch (failure.cause) {
    case Cause::starttls_not_offered:
    case Cause::starttls_refused:
    case Cause::auth_not_offered:
    case Cause::mechanism_needs_tls:
    case Cause::mechanism_excluded:
    case Cause::no_mechanism:
    case Cause::login_refused:
    case Cause::login_put_off:
    case Cause::folder_refused:
      return true;
    default:
      return false;
  }
}

Error out_of_step(Wire& wire, std::string_view what) {
  return {Errc::malformed, wire.stream().peer() + ": " + std::string(what)};
}

}  // namespace odmr::collect
