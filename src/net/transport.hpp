#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "net/task.hpp"

namespace odmr::net {

/// Bytes both ways, over whatever carries them: a socket, TLS over another transport, or memory. One reader and one
/// writer at a time. After an error the transport is of no more use than to be closed, but for `interrupted`, and for
/// `timed_out` of a read that was not to wait.
class Transport {
 public:
  virtual ~Transport() = default;

  /// At least one byte, as many as there are. With a deadline that has passed: of those that are here already. Errors:
  /// closed (EOF), lost, timed_out, interrupted, tls.
  virtual Task<Result<std::size_t>> read_some(std::span<char> into, TimePoint deadline) = 0;

  /// All of `bytes`. `patience` is for each time the peer takes no byte at all. Errors: lost, timed_out, tls.
  virtual Task<Result<void>> write(std::string_view bytes, Duration patience) = 0;

  /// Ends our direction in good order (close_notify, then FIN), waiting no longer than `deadline`; errors are nobody's.
  virtual Task<void> finish(TimePoint deadline) = 0;

  /// A read that waits gives `interrupted`; without one nothing happens.
  virtual void interrupt() = 0;

  /// Whatever is under way fails, and the connection is gone.
  virtual void close() = 0;

  /// The other end in words: "192.0.2.1:366", "[2001:db8::1]:366", "/run/dovecot/lmtp".
  virtual std::string peer() const = 0;
};

}  // namespace odmr::net
