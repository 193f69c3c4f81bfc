#include "line.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace bench {

namespace {

constexpr std::size_t k_written_at_once = 256 * 1024;

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

void die(const std::string& what) {
  std::perror(what.c_str());
  std::exit(1);
}

int listen_anywhere(int& port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("bind");
  if (listen(listener, 64) != 0) die("listen");
  socklen_t length = sizeof address;
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  port = ntohs(address.sin_port);
  return listener;
}

int connect_to(int port) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  if (connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) die("connect");
  const int on = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return connection;
}

void say_port(int port) {
  std::printf("listening on %d\n", port);
  std::fflush(stdout);
}

int next_connection(int listener) {
  std::array<pollfd, 2> both{{{listener, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}}};
  for (;;) {
    if (poll(both.data(), both.size(), -1) < 0 && errno != EINTR) die("poll");
    if (both[0].revents != 0) {
      const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      const int on = 1;
      setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      if (connection >= 0) return connection;
    }
    if (both[1].revents != 0) return -1;
  }
}

Line::Line(int socket, SSL_CTX* context, bool is_server) : socket_(socket) {
  fcntl(socket_, F_SETFL, fcntl(socket_, F_GETFL) | O_NONBLOCK);
  if (context != nullptr) secure(context, is_server);
}

Line::~Line() {
  if (ssl_ != nullptr) {
    SSL_shutdown(ssl_);
    flush();
    SSL_free(ssl_);
  }
  close(socket_);
}

void Line::wait_for(short events) const {
  pollfd one{socket_, events, 0};
  if (poll(&one, 1, -1) < 0 && errno != EINTR) die("poll");
}

void Line::secure(SSL_CTX* context, bool is_server) {
  ssl_ = SSL_new(context);
  BIO* in = BIO_new_socket(socket_, BIO_NOCLOSE);
  outgoing_ = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl_, in, outgoing_);
  SSL_set_tlsext_host_name(ssl_, "localhost");
  for (;;) {
    const int done = is_server ? SSL_accept(ssl_) : SSL_connect(ssl_);
    const int why = SSL_get_error(ssl_, done);
    flush();
    if (done == 1) break;
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
      ERR_print_errors_fp(stderr);
      die("TLS handshake");
    }
    note_wait();
    wait_for(POLLIN);
  }
  has_written_ = false;
  tls_ = SSL_get_version(ssl_);
}

Line::Got Line::read_some() {
  if (is_over_) return Got::end;
  static std::array<char, 64 * 1024> piece;
  ssize_t count = 0;
  if (ssl_ != nullptr) {
    count = SSL_read(ssl_, piece.data(), static_cast<int>(piece.size()));
    if (count <= 0) {
      const int why = SSL_get_error(ssl_, static_cast<int>(count));
      if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return Got::nothing_yet;
      count = 0;
    }
  } else {
    count = recv(socket_, piece.data(), piece.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return Got::nothing_yet;
  }
  is_over_ = count <= 0;
  if (is_over_) return Got::end;
  input_.append(piece.data(), static_cast<std::size_t>(count));
  return Got::bytes;
}

bool Line::write(std::string_view data) {
  has_written_ = true;
  if (ssl_ == nullptr) return send_all(data);
  while (!data.empty()) {
    const auto piece = data.substr(0, k_written_at_once);
    if (SSL_write(ssl_, piece.data(), static_cast<int>(piece.size())) <= 0) return false;
    if (!flush()) return false;
    data.remove_prefix(piece.size());
  }
  return true;
}

// Sends the records that are ready: many with one call, or the calls would be what is measured.
bool Line::flush() {
  char* records = nullptr;
  const long size = BIO_get_mem_data(outgoing_, &records);
  if (size > 0) has_written_ = true;
  const bool good = size <= 0 || send_all({records, static_cast<std::size_t>(size)});
  static_cast<void>(BIO_reset(outgoing_));
  return good;
}

bool Line::send_all(std::string_view data) {
  while (!data.empty()) {
    const ssize_t count = send(socket_, data.data(), data.size(), MSG_NOSIGNAL);
    if (count > 0) {
      data.remove_prefix(static_cast<std::size_t>(count));
      continue;
    }
    if (errno != EAGAIN && errno != EINTR) return false;
    // While the handshake goes on there is nothing to read yet.
    if (ssl_ == nullptr || SSL_is_init_finished(ssl_) == 1) {
      if (read_some() == Got::end) return false;
    }
    wait_for(POLLIN | POLLOUT);
  }
  return true;
}

void Line::note_wait() {
  if (has_written_) ++waits_;
  has_written_ = false;
}

bool Line::read() {
  note_wait();
  Got got = read_some();
  while (got == Got::nothing_yet) {
    wait_for(POLLIN);
    got = read_some();
  }
  return got == Got::bytes;
}

void Line::take() {
  read_some();
}

// How much of the input the next reply is; 0 where it has not come in whole.
std::size_t Line::reply_length() const {
  for (std::size_t begin = 0;;) {
    const auto end = input_.find('\n', begin);
    if (end == std::string::npos) return 0;
    if (end - begin < 4 || input_[begin + 3] != '-') return end + 1;
    begin = end + 1;
  }
}

std::string Line::read_reply() {
  std::size_t length = reply_length();
  while (length == 0) {
    if (!read()) return {};
    length = reply_length();
  }
  std::string reply = input_.substr(0, length);
  input_.erase(0, length);
  return reply;
}

int Line::next_code() {
  const auto length = reply_length();
  if (length == 0) return 0;
  const int code = std::atoi(input_.c_str());
  input_.erase(0, length);
  return code;
}

bool Line::read_line(std::string& line) {
  std::size_t end = input_.find('\n');
  while (end == std::string::npos) {
    if (!read()) return false;
    end = input_.find('\n');
  }
  line = input_.substr(0, end);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  input_.erase(0, end + 1);
  return true;
}

}  // namespace bench
