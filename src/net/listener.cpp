#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <asio/basic_socket_acceptor.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/ip/v6_only.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/use_awaitable.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "base/ascii.hpp"
#include "base/file.hpp"
#include "net/names.hpp"
#include "net/socket.hpp"
#include "net/system_network.hpp"

namespace odmr::net {

namespace {

using asio::ip::tcp;
using Protocol = asio::generic::stream_protocol;
using Acceptor = asio::basic_socket_acceptor<Protocol>;

constexpr auto k_as_tuple = asio::experimental::as_tuple(asio::use_awaitable);
constexpr int k_backlog = 1024;
constexpr int k_first_passed = 3;  // SD_LISTEN_FDS_START

// The file of a Unix socket, and the lock beside it that says who listens there: found by name, a socket file does not
// tell a living process from a dead one's leavings, and two that start at once would each remove the other's.
class SocketFile {
 public:
  explicit SocketFile(std::string path) : path_(std::move(path)) {}
  ~SocketFile() { remove(); }
  SocketFile(const SocketFile&) = delete;
  SocketFile& operator=(const SocketFile&) = delete;

  /// Makes the folder where it is missing, takes the lock, and removes what a dead process has left.
  Result<void> prepare() {
    if (auto made = make_folder(); !made) return made;
    lock_ = Descriptor(::open((path_ + ".lock").c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!lock_.is_open()) return fail(system_error(errno, path_ + ".lock"));
    if (flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return in_use();
      return fail(system_error(errno, path_ + ".lock"));
    }
    struct stat found {};
    if (lstat(path_.c_str(), &found) != 0) {
      if (errno == ENOENT) return {};
      return fail(system_error(errno, path_));
    }
    if (!S_ISSOCK(found.st_mode)) return fail(Errc::busy, path_ + ": is there, and is no socket");
    if (somebody_answers()) return in_use();
    if (unlink(path_.c_str()) != 0) return fail(system_error(errno, path_));
    return {};
  }

  /// After bind(): anybody may connect, whatever our umask says.
  Result<void> open_to_all() {
    struct stat made {};
    if (chmod(path_.c_str(), 0666) != 0 || lstat(path_.c_str(), &made) != 0) return fail(system_error(errno, path_));
    made_ = made;
    return {};
  }

  Result<void> give_to(uid_t user, gid_t group) const {
    const bool is_given = (folder_made_.empty() || chown(folder_made_.c_str(), user, group) == 0) &&
                          fchown(lock_.get(), user, group) == 0 && lchown(path_.c_str(), user, group) == 0;
    if (!is_given) return fail(system_error(errno, "chown " + path_));
    return {};
  }

  /// What somebody else has put in its place stays.
  void remove() {
    struct stat found {};
    if (made_ && lstat(path_.c_str(), &found) == 0 && found.st_dev == made_->st_dev && found.st_ino == made_->st_ino) {
      unlink(path_.c_str());
    }
    made_.reset();
  }

 private:
  // /run is empty after a start of the system. Its mode is not left to the umask: others have to get through.
  Result<void> make_folder() {
    const std::string folder = path_.substr(0, path_.rfind('/'));
    if (folder.empty()) return {};
    if (mkdir(folder.c_str(), 0700) == 0) {
      chmod(folder.c_str(), 0755);
      folder_made_ = folder;
      return {};
    }
    if (errno == EEXIST) return {};
    return fail(system_error(errno, "making the directory " + folder + " for the socket"));
  }

  bool somebody_answers() const {
    const Descriptor trial(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    if (connect(trial.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
    return errno != ECONNREFUSED && errno != ENOENT;  // EAGAIN: alive, and many wait
  }

  tl::unexpected<Error> in_use() const { return fail(Errc::busy, path_ + ": another process listens there"); }

  std::string path_;
  Descriptor lock_;
  std::string folder_made_;  // by us
  std::optional<struct stat> made_;
};

std::string address_of(Acceptor& acceptor) {
  std::error_code ignored;
  const auto local = acceptor.local_endpoint(ignored);
  if (local.protocol().family() == AF_UNIX) {
    const auto* address = reinterpret_cast<const sockaddr_un*>(local.data());
    const std::size_t most = local.size() - offsetof(sockaddr_un, sun_path);
    return local.size() > offsetof(sockaddr_un, sun_path)
               ? std::string(address->sun_path, strnlen(address->sun_path, most))
               : std::string();
  }
  tcp::endpoint endpoint;
  std::memcpy(endpoint.data(), local.data(), std::min(local.size(), endpoint.capacity()));
  return host_and_port(endpoint.address().to_string(), endpoint.port());
}

class SocketListener final : public Listener {
 public:
  SocketListener(asio::io_context& loop, Clock& clock) : acceptor_(loop), clock_(clock) {}

  Result<void> open(const tcp::endpoint& endpoint) {
    std::error_code error;
    acceptor_.open(Protocol(endpoint.protocol()), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && endpoint.address().is_v6()) {
      acceptor_.set_option(asio::ip::v6_only(!endpoint.address().is_unspecified()), error);
    }
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(k_backlog, error);
    if (error) return fail(system_error(error.value(), text_of(endpoint)));
    return {};
  }

  Result<void> open(const std::string& path) {
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
      return fail(Errc::malformed, path + ": too long for a socket's path");
    }
    file_.emplace(path);
    if (auto prepared = file_->prepare(); !prepared) return prepared;
    const asio::local::stream_protocol::endpoint endpoint(path);
    std::error_code error;
    acceptor_.open(Protocol(endpoint.protocol()), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (error) return fail(system_error(error.value(), path));
    if (auto opened = file_->open_to_all(); !opened) return opened;
    acceptor_.listen(k_backlog, error);
    if (error) return fail(system_error(error.value(), path));
    return {};
  }

  Result<void> adopt(int fd, int family) {
    std::error_code error;
    acceptor_.assign(Protocol(family, 0), fd, error);
    if (error) return fail(system_error(error.value(), "socket " + std::to_string(fd)));
    return {};
  }

  Task<Result<Stream>> accept() override {
    auto [error, socket] = co_await acceptor_.async_accept(k_as_tuple);
    if (error == asio::error::operation_aborted) co_return fail(Errc::interrupted, "closed");
    if (error) co_return fail(Errc::io, "accept: " + error.message());
    const std::string caller = caller_on(socket);
    if (caller.empty()) co_return fail(Errc::lost, "accept: the caller has gone");
    co_return Stream(socket_transport(std::move(socket), caller, clock_), clock_);
  }

  void close() override {
    std::error_code ignored;
    acceptor_.close(ignored);
    file_.reset();
  }

  std::string address() const override { return address_of(acceptor_); }

  Result<void> give_to(uid_t user, gid_t group) override {
    return file_ ? file_->give_to(user, group) : Result<void>();
  }

 private:
  mutable Acceptor acceptor_;
  Clock& clock_;
  std::optional<SocketFile> file_;  // of a Unix socket that we made
};

template <class Where>
Result<std::unique_ptr<Listener>> listen_on(asio::io_context& loop, Clock& clock, const Where& where) {
  auto listener = std::make_unique<SocketListener>(loop, clock);
  auto opened = listener->open(where);
  if (!opened) return fail(opened.error());
  return listener;
}

int option(int fd, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

Result<std::unique_ptr<Listener>> adopt(asio::io_context& loop, Clock& clock, int fd) {
  const int family = option(fd, SO_DOMAIN);
  const bool is_known = family == AF_UNIX || family == AF_INET || family == AF_INET6;
  if (!is_known || option(fd, SO_TYPE) != SOCK_STREAM || option(fd, SO_ACCEPTCONN) != 1) {
    return fail(Errc::malformed, "descriptor " + std::to_string(fd) +
                                     " that was passed on is no listening stream socket (a unit with Accept=yes "
                                     "wants odmr submit --stdio)");
  }
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  auto listener = std::make_unique<SocketListener>(loop, clock);
  auto adopted = listener->adopt(fd, family);
  if (!adopted) return fail(adopted.error());
  return listener;
}

// sd_listen_fds_with_names(3): a name for each socket that was passed to us, and to nobody before us. Our children get
// none.
std::vector<std::string> take_passed_names() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  const char* given = std::getenv("LISTEN_FDNAMES");
  std::string names = given == nullptr ? "" : given;
  const auto for_whom = parse_number(pid == nullptr ? "" : pid);
  const auto how_many = parse_number(count == nullptr ? "" : count);
  const bool is_ours = for_whom && *for_whom == static_cast<std::uint64_t>(getpid());
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
  std::vector<std::string> found(is_ours && how_many && *how_many < 1024 ? *how_many : 0, "unknown");
  for (auto& name : found) {
    const auto end = names.find(':');
    if (const auto one = names.substr(0, end); !one.empty()) name = one;
    names = end == std::string::npos ? std::string() : names.substr(end + 1);
  }
  return found;
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(asio::io_context& loop, Clock& clock, const std::string& address) {
  if (address.starts_with('/')) return listen_on(loop, clock, address);
  const auto colon = address.rfind(':');
  std::string host = address.substr(0, colon == std::string::npos ? 0 : colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const auto port = colon == std::string::npos ? std::nullopt : parse_number(address.substr(colon + 1));
  std::error_code error;
  const auto ip = asio::ip::make_address(host, error);
  if (error || !port || *port > 65535) {
    return fail(Errc::malformed, "\"" + address + "\" is no ADDRESS:PORT, such as \"[::]:366\" or \"127.0.0.1:0\"");
  }
  return listen_on(loop, clock, tcp::endpoint(ip, static_cast<std::uint16_t>(*port)));
}

Result<std::vector<std::unique_ptr<Listener>>> Listener::passed(asio::io_context& loop, Clock& clock) {
  std::vector<std::unique_ptr<Listener>> listeners;
  const auto names = take_passed_names();
  for (std::size_t i = 0; i < names.size(); ++i) {
    auto listener = adopt(loop, clock, k_first_passed + static_cast<int>(i));
    if (!listener) return fail(listener.error());
    listeners.push_back(std::move(*listener));
  }
  return listeners;
}

Result<std::map<std::string, std::unique_ptr<Listener>>> Listener::passed_by_name(asio::io_context& loop,
                                                                                  Clock& clock) {
  std::map<std::string, std::unique_ptr<Listener>> listeners;
  const auto names = take_passed_names();
  for (std::size_t i = 0; i < names.size(); ++i) {
    auto listener = adopt(loop, clock, k_first_passed + static_cast<int>(i));
    if (!listener) return fail(listener.error());
    if (!listeners.emplace(names[i], std::move(*listener)).second)
      return fail(Errc::malformed, "two sockets that were passed on are named \"" + escape(names[i]) + "\"");
  }
  return listeners;
}

}  // namespace odmr::net
