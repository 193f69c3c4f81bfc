#include "net/notify_socket.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/ascii.hpp"

namespace odmr::net {

namespace {

// As sendto() wants it. "@NAME" is an abstract address: a NUL, and no NUL at the end.
Result<std::string> socket_address(const std::string& name) {
  sockaddr_un address{};
  const bool is_abstract = !name.empty() && name.front() == '@';
  if (!is_abstract && (name.empty() || name.front() != '/')) {
    return fail(Errc::malformed, "$NOTIFY_SOCKET: \"" + name + "\" is no address of a Unix socket");
  }
  if (name.size() < 2 || name.size() >= sizeof address.sun_path) {
    return fail(Errc::malformed, "$NOTIFY_SOCKET: \"" + name + "\" is no name for a Unix socket");
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (is_abstract) address.sun_path[0] = '\0';
  const std::size_t size = offsetof(sockaddr_un, sun_path) + name.size() + (is_abstract ? 0 : 1);
  return std::string(reinterpret_cast<const char*>(&address), size);
}

std::string taken_from_environment(const char* name) {
  const char* value = std::getenv(name);
  std::string taken = value == nullptr ? "" : value;
  ::unsetenv(name);
  return taken;
}

}  // namespace

Result<NotifySocket> NotifySocket::of_environment() {
  const std::string name = taken_from_environment("NOTIFY_SOCKET");
  const std::string microseconds = taken_from_environment("WATCHDOG_USEC");
  const std::string process = taken_from_environment("WATCHDOG_PID");
  for (const char* other : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(other);
  if (name.empty()) return NotifySocket();
  auto opened = open(name);
  if (!opened) return opened;
  opened->watchdog_ = watchdog_interval(microseconds.empty() ? nullptr : microseconds.c_str(),
                                        process.empty() ? nullptr : process.c_str(), ::getpid());
  return opened;
}

Result<NotifySocket> NotifySocket::open(const std::string& address) {
  auto where = socket_address(address);
  if (!where) return fail(where.error());
  NotifySocket opened;
  opened.address_ = std::move(*where);
  opened.socket_ = Descriptor(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!opened.socket_.is_open()) return fail(system_error(errno, "$NOTIFY_SOCKET"));
  return opened;
}

void NotifySocket::tell(const Lines& lines) const {
  if (!is_open()) return;
  const std::string text = notification(lines);
  const auto* where = reinterpret_cast<const sockaddr*>(address_.data());
  while (::sendto(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL, where,
                  static_cast<socklen_t>(address_.size())) < 0 &&
         errno == EINTR) {
  }
}

std::string notification(const NotifySocket::Lines& lines) {
  std::string text;
  for (const auto& [name, value] : lines) {
    text += name + "=";
    std::transform(value.begin(), value.end(), std::back_inserter(text),
                   [](char c) { return is_control(c) ? ' ' : c; });
    text += '\n';
  }
  return text;
}

std::optional<Duration> watchdog_interval(const char* microseconds, const char* process, pid_t own) {
  if (microseconds == nullptr) return std::nullopt;
  if (process != nullptr && parse_number(process) != static_cast<std::uint64_t>(own)) return std::nullopt;
  const auto number = parse_number(microseconds);
  constexpr std::uint64_t k_most = std::uint64_t{1} << 50U;
  if (!number || *number == 0 || *number > k_most) return std::nullopt;
  return std::chrono::microseconds(*number);
}

std::string monotonic_microseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return std::to_string(std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000);
}

}  // namespace odmr::net
