#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/tls.hpp"
#include "net/transport.hpp"

namespace odmr::net {

class TlsTransport;

/// A connection as conversations use it: a transport, the bytes already read from it, and TLS when it has begun.
/// It can be moved from one conversation to the next, buffered bytes and all: that is how a line turns.
class Stream {
 public:
  Stream(std::unique_ptr<Transport> transport, Clock& clock);
  Stream(Stream&&) noexcept = default;
  Stream& operator=(Stream&&) noexcept = default;

  /// Bytes that have arrived and have not been consumed.
  std::string_view buffered() const { return {buffer_.data() + begin_, end_ - begin_}; }
  void consume(std::size_t count);

  /// Waits for at least one byte more in buffered(). Errors as Transport::read_some; no_space when the buffer is full.
  Task<Result<void>> fill(TimePoint deadline);
  Task<Result<void>> write(std::string_view bytes, Duration patience);

  /// Takes in what has arrived, without waiting and no more than a bounded lot: it stays in buffered(). Errors: the
  /// line is gone (closed, lost, tls); everything that came before is in buffered().
  Task<Result<void>> look_ahead();
  /// How many bytes have come so far, consumed or not.
  std::uint64_t received() const { return received_; }

  /// Puts TLS over the transport. RFC 3207 4.2, CVE-2011-0411: a byte already buffered came in clear text and ends it
  /// (Errc::malformed). Errors: tls, untrusted, timed_out, lost, closed.
  Task<Result<void>> start_tls_client(std::shared_ptr<TlsContext> context, std::string server_name, TimePoint deadline);
  Task<Result<void>> start_tls_server(std::shared_ptr<TlsContext> context, TimePoint deadline);
  /// nullopt in clear text.
  const std::optional<TlsFacts>& tls() const { return tls_; }
  /// After a read failed with Errc::tls: the bytes, at most 64, that came where a TLS record should have begun.
  std::string clear_text_under_tls() const;

  /// A fill() that waits gives `interrupted`; the stream stays good.
  void interrupt() { transport_->interrupt(); }
  void close() { transport_->close(); }
  /// Says good-bye on every layer, for two seconds at most, then closes.
  Task<void> finish();

  std::string peer() const { return peer_.empty() ? transport_->peer() : peer_; }
  /// For a connection that goes on to somewhere else than where the transport ends.
  void set_peer(std::string peer) { peer_ = std::move(peer); }
  Clock& clock() const { return *clock_; }

 private:
  Task<Result<void>> put_tls_over(std::unique_ptr<TlsTransport> layer, TimePoint deadline);

  std::unique_ptr<Transport> transport_;
  Clock* clock_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint64_t received_ = 0;
  std::optional<TlsFacts> tls_;
  std::string peer_;  // empty: the transport's
};

}  // namespace odmr::net
