#include "net/stream.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "net/tls_transport.hpp"

namespace odmr::net {

namespace {

constexpr std::size_t k_first_buffer = 4 * 1024;
constexpr std::size_t k_largest_buffer = 256 * 1024;
constexpr std::size_t k_most_ahead = 64 * 1024;
constexpr auto k_farewell = std::chrono::seconds(2);

}  // namespace

Stream::Stream(std::unique_ptr<Transport> transport, Clock& clock) : transport_(std::move(transport)), clock_(&clock) {}

void Stream::consume(std::size_t count) {
  begin_ += std::min(count, end_ - begin_);
  if (begin_ == end_) begin_ = end_ = 0;
}

Task<Result<void>> Stream::fill(TimePoint deadline) {
  if (end_ == buffer_.size() && begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
  }
  if (end_ == buffer_.size()) {
    if (buffer_.size() >= k_largest_buffer) co_return fail(Errc::no_space, "more input than anybody reads");
    buffer_.resize(std::max(k_first_buffer, buffer_.size() * 4));
  }
  const std::span<char> space(buffer_.data() + end_, buffer_.size() - end_);
  const auto count = co_await transport_->read_some(space, deadline);
  if (!count) co_return fail(count.error());
  end_ += *count;
  received_ += *count;
  // A read that filled all there was: there is more where it came from, and larger reads are cheaper.
  if (*count == buffer_.size() && buffer_.size() < k_largest_buffer) buffer_.resize(buffer_.size() * 4);
  co_return Result<void>();
}

Task<Result<void>> Stream::look_ahead() {
  while (buffered().size() < k_most_ahead) {
    const auto filled = co_await fill(clock_->now());
    if (filled) continue;
    if (filled.error().code == Errc::timed_out) break;  // nothing there now
    co_return fail(filled.error());
  }
  co_return Result<void>();
}

Task<Result<void>> Stream::write(std::string_view bytes, Duration patience) {
  co_return co_await transport_->write(bytes, patience);
}

Task<Result<void>> Stream::start_tls_client(std::shared_ptr<TlsContext> context, std::string server_name,
                                            TimePoint deadline) {
  if (!buffered().empty()) co_return fail(Errc::malformed, "bytes in clear text came behind the reply to STARTTLS");
  auto layer = std::make_unique<TlsTransport>(std::move(transport_), std::move(context), TlsTransport::Role::client,
                                              server_name, *clock_);
  co_return co_await put_tls_over(std::move(layer), deadline);
}

Task<Result<void>> Stream::start_tls_server(std::shared_ptr<TlsContext> context, TimePoint deadline) {
  if (!buffered().empty()) co_return fail(Errc::malformed, "bytes in clear text came behind STARTTLS");
  auto layer = std::make_unique<TlsTransport>(std::move(transport_), std::move(context), TlsTransport::Role::server,
                                              std::string(), *clock_);
  co_return co_await put_tls_over(std::move(layer), deadline);
}

Task<Result<void>> Stream::put_tls_over(std::unique_ptr<TlsTransport> layer, TimePoint deadline) {
  TlsTransport& tls = *layer;
  transport_ = std::move(layer);
  const auto shaken = co_await tls.handshake(deadline);
  if (!shaken) co_return fail(shaken.error());
  tls_ = tls.facts();
  co_return Result<void>();
}

std::string Stream::clear_text_under_tls() const {
  const auto* layer = dynamic_cast<const TlsTransport*>(transport_.get());
  return layer == nullptr ? std::string() : layer->undecodable();
}

Task<> Stream::finish() {
  if (!transport_) co_return;
  co_await transport_->finish(clock_->now() + k_farewell);
  transport_->close();
}

}  // namespace odmr::net
