#include "net/socket.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <asio/buffer.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/post.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <utility>

#include "net/patience.hpp"

namespace odmr::net {

namespace {

constexpr auto k_as_tuple = asio::experimental::as_tuple(asio::use_awaitable);
// Reads that need not wait, before others have their turn: signals, timers, other connections.
constexpr int k_reads_in_a_row = 64;

// An ATRN may wait minutes for its reply. Mobile networks and carrier-grade NAT forget a silent connection after a
// minute or so, and tell neither end: so something is sent before, and who does not answer for a minute is gone.
void keep_alive(int fd) {
  const auto set = [fd](int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof value); };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 45);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
  set(IPPROTO_TCP, TCP_NODELAY, 1);
}

class SocketTransport final : public Transport {
 public:
  SocketTransport(asio::generic::stream_protocol::socket socket, std::string peer, Clock& clock)
      : socket_(std::move(socket)),
        peer_(std::move(peer)),
        clock_(clock),
        reading_(clock, [this] { cancel(); }),
        writing_(clock, [this] { cancel(); }) {
    std::error_code ignored;
    socket_.non_blocking(true, ignored);
  }

  Task<Result<std::size_t>> read_some(std::span<char> into, TimePoint deadline) override {
    if (deadline <= clock_.now()) co_return read_what_is_there(into);
    interrupted_ = false;
    if (++reads_in_a_row_ >= k_reads_in_a_row) co_await give_way();
    if (interrupted_) co_return fail(Errc::interrupted, "interrupted");
    // An answer on this machine is mostly there already: no trip through the event loop then.
    std::error_code state;
    const std::size_t there = read_now(into, state);
    if (!state) co_return there;
    if (state != asio::error::would_block) co_return ended(state);
    reads_in_a_row_ = 0;
    reading_.begin(deadline);
    waiting_ = true;
    const auto [error, count] = co_await socket_.async_read_some(asio::buffer(into.data(), into.size()), k_as_tuple);
    waiting_ = false;
    reading_.stop();
    if (!error) co_return count;
    if (error == asio::error::operation_aborted && !closed_) {
      if (reading_.expired()) co_return fail(Errc::timed_out, peer_ + ": no answer in time");
      if (interrupted_) co_return fail(Errc::interrupted, "interrupted");
    }
    co_return ended(error);
  }

  Task<Result<void>> write(std::string_view bytes, Duration patience) override {
    for (;;) {
      std::error_code error;
      // Most of the time the kernel has room: no trip through the event loop then.
      const std::size_t count = socket_.write_some(asio::buffer(bytes.data(), bytes.size()), error);
      bytes.remove_prefix(count);
      if (error == asio::error::interrupted) continue;
      if (!error && bytes.empty()) co_return Result<void>();
      // What it did not take all of has filled it.
      if (!error || error == asio::error::would_block) {
        error = co_await writable(patience);
        // A read was interrupted, or ran out of patience, and took the wait with it.
        if (error == asio::error::operation_aborted && !closed_ && !writing_.expired()) continue;
        if (writing_.expired()) co_return fail(Errc::timed_out, peer_ + ": takes no bytes");
      }
      if (error) co_return lost(error);
    }
  }

  Task<void> finish(TimePoint /*deadline*/) override {
    std::error_code ignored;
    socket_.shutdown(asio::socket_base::shutdown_send, ignored);
    co_return;
  }

  void interrupt() override {
    if (!waiting_) return;
    interrupted_ = true;
    cancel();
  }

  void close() override {
    closed_ = true;
    std::error_code ignored;
    socket_.close(ignored);
  }

  std::string peer() const override { return peer_; }

 private:
  std::size_t read_now(std::span<char> into, std::error_code& error) {
    for (;;) {
      const std::size_t count = socket_.read_some(asio::buffer(into.data(), into.size()), error);
      // A signal that came meanwhile is no word of the line's.
      if (error != asio::error::interrupted) return count;
    }
  }

  Result<std::size_t> read_what_is_there(std::span<char> into) {
    std::error_code error;
    const std::size_t count = read_now(into, error);
    if (!error) return count;
    if (error == asio::error::would_block) return fail(Errc::timed_out, peer_ + ": nothing has come");
    return ended(error);
  }

  // Who interrupts meanwhile means the read that is about to begin.
  Task<> give_way() {
    reads_in_a_row_ = 0;
    waiting_ = true;
    co_await asio::post(socket_.get_executor(), asio::use_awaitable);
    waiting_ = false;
  }

  void cancel() {
    std::error_code ignored;
    socket_.cancel(ignored);
  }

  Task<std::error_code> writable(Duration patience) {
    writing_.begin(clock_.now() + patience);
    const auto [error] = co_await socket_.async_wait(asio::socket_base::wait_write, k_as_tuple);
    writing_.stop();
    co_return error;
  }

  tl::unexpected<Error> ended(const std::error_code& error) const {
    if (error == asio::error::eof) return fail(Errc::closed, peer_ + ": connection closed");
    return lost(error);
  }

  tl::unexpected<Error> lost(const std::error_code& error) const {
    return fail(Errc::lost, peer_ + ": " + (closed_ ? "closed by us" : error.message()));
  }

  asio::generic::stream_protocol::socket socket_;
  std::string peer_;
  Clock& clock_;
  Patience reading_;
  Patience writing_;
  int reads_in_a_row_ = 0;
  bool waiting_ = false;
  bool interrupted_ = false;
  bool closed_ = false;
};

}  // namespace

std::unique_ptr<Transport> socket_transport(asio::generic::stream_protocol::socket socket, std::string peer,
                                            Clock& clock) {
  if (socket.local_endpoint().protocol().family() != AF_UNIX) keep_alive(socket.native_handle());
  return std::make_unique<SocketTransport>(std::move(socket), std::move(peer), clock);
}

}  // namespace odmr::net
