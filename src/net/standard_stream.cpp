#include "net/standard_stream.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <asio/experimental/as_tuple.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/use_awaitable.hpp>
#include <cerrno>
#include <optional>
#include <utility>

#include "base/file.hpp"
#include "net/names.hpp"
#include "net/patience.hpp"
#include "net/socket.hpp"

namespace odmr::net {

namespace {

constexpr auto k_as_tuple = asio::experimental::as_tuple(asio::use_awaitable);

// Two descriptors, one to read from and one to write to: pipes, a terminal, files. Each is tried first and waited for
// only where it has to be, since files cannot be waited for.
class PairTransport final : public Transport {
 public:
  PairTransport(asio::io_context& loop, Clock& clock, Descriptor in, Descriptor out, std::string peer)
      : in_(loop, in.release()),
        out_(loop, out.release()),
        peer_(std::move(peer)),
        clock_(clock),
        reading_(clock, [this] { cancel(in_); }),
        writing_(clock, [this] { cancel(out_); }) {
    std::error_code ignored;
    in_.non_blocking(true, ignored);
    out_.non_blocking(true, ignored);
  }

  Task<Result<std::size_t>> read_some(std::span<char> into, TimePoint deadline) override {
    interrupted_ = false;
    for (;;) {
      std::error_code error;
      const std::size_t count = in_.read_some(asio::buffer(into.data(), into.size()), error);
      if (!error) co_return count;
      if (error == asio::error::eof) co_return fail(Errc::closed, peer_ + ": the input has ended");
      if (error != asio::error::would_block) co_return lost(error);
      if (deadline <= clock_.now()) co_return fail(Errc::timed_out, peer_ + ": nothing has come");
      reading_.begin(deadline);
      waiting_ = true;
      const auto [why] = co_await in_.async_wait(asio::posix::descriptor_base::wait_read, k_as_tuple);
      waiting_ = false;
      reading_.stop();
      if (why && closed_) co_return lost(why);
      if (interrupted_) co_return fail(Errc::interrupted, "interrupted");
      if (reading_.expired()) co_return fail(Errc::timed_out, peer_ + ": no answer in time");
      if (why) co_return lost(why);
    }
  }

  Task<Result<void>> write(std::string_view bytes, Duration patience) override {
    while (!bytes.empty()) {
      std::error_code error;
      const std::size_t count = out_.write_some(asio::buffer(bytes.data(), bytes.size()), error);
      if (error == asio::error::would_block) {
        writing_.begin(clock_.now() + patience);
        const auto [why] = co_await out_.async_wait(asio::posix::descriptor_base::wait_write, k_as_tuple);
        writing_.stop();
        if (writing_.expired()) co_return fail(Errc::timed_out, peer_ + ": takes no bytes");
        error = why;
      }
      if (error) co_return lost(error);
      bytes.remove_prefix(count);
    }
    co_return Result<void>();
  }

  Task<void> finish(TimePoint /*deadline*/) override {
    close();
    co_return;
  }

  void interrupt() override {
    if (!waiting_) return;
    interrupted_ = true;
    cancel(in_);
  }

  void close() override {
    closed_ = true;
    std::error_code ignored;
    in_.close(ignored);
    out_.close(ignored);
  }

  std::string peer() const override { return peer_; }

 private:
  using Half = asio::posix::stream_descriptor;

  static void cancel(Half& half) {
    std::error_code ignored;
    half.cancel(ignored);
  }

  tl::unexpected<Error> lost(const std::error_code& error) const {
    return fail(Errc::lost, peer_ + ": " + (closed_ ? "closed by us" : error.message()));
  }

  Half in_;
  Half out_;
  std::string peer_;
  Clock& clock_;
  Patience reading_;
  Patience writing_;
  bool waiting_ = false;
  bool interrupted_ = false;
  bool closed_ = false;
};

struct stat status_of(int fd) {
  struct stat status {};
  if (fstat(fd, &status) != 0) status.st_mode = 0;
  return status;
}

// Another name for the descriptor. Pipes and terminals are opened anew, so that O_NONBLOCK does not befall whoever
// shares them with us: the shell's terminal, the log on stderr. A file has to keep its place, and a socket has no path.
Descriptor another(int fd, int flags) {
  const mode_t mode = status_of(fd).st_mode;
  if (S_ISFIFO(mode) || S_ISCHR(mode)) {
    Descriptor opened(open(("/proc/self/fd/" + std::to_string(fd)).c_str(), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (opened.is_open()) return opened;
  }
  return Descriptor(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

// An inetd, or a unit with Accept=yes, gives us one socket for both.
bool is_one_socket(int in, int out) {
  const struct stat a = status_of(in);
  const struct stat b = status_of(out);
  return S_ISSOCK(a.st_mode) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

Result<Stream> socket_stream(asio::io_context& loop, Clock& clock, int fd) {
  int family = 0;
  socklen_t size = sizeof family;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) return fail(system_error(errno, "standard input"));
  Descriptor own(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!own.is_open()) return fail(system_error(errno, "standard input"));
  asio::generic::stream_protocol::socket socket(loop);
  std::error_code error;
  socket.assign(asio::generic::stream_protocol(family, 0), own.get(), error);
  if (error) return fail(system_error(error.value(), "standard input"));
  own.release();
  const std::string caller = caller_on(socket);
  if (caller.empty()) return fail(Errc::lost, "standard input: the caller has gone");
  return Stream(socket_transport(std::move(socket), caller, clock), clock);
}

}  // namespace

Result<Stream> standard_stream(asio::io_context& loop, Clock& clock) {
  if (is_one_socket(STDIN_FILENO, STDOUT_FILENO)) return socket_stream(loop, clock, STDIN_FILENO);
  Descriptor in = another(STDIN_FILENO, O_RDONLY);
  Descriptor out = another(STDOUT_FILENO, O_WRONLY);
  if (!in.is_open() || !out.is_open()) return fail(system_error(errno, "standard input and output"));
  const std::string peer = "uid " + std::to_string(getuid());
  return Stream(std::make_unique<PairTransport>(loop, clock, std::move(in), std::move(out), peer), clock);
}

}  // namespace odmr::net
