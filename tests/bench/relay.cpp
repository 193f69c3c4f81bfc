// The least that a customer can do: connects to the sender and to the target, and passes bytes between them. What is
// measured against it is all else that a customer does.
//
//   relay SENDER TARGET            both are ports of this machine
//   relay SENDER TARGET CA_FILE    TLS 1.3 to the sender, verified

#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "line.hpp"

namespace {

using bench::die;

constexpr std::size_t k_piece = 256 * 1024;
std::array<char, k_piece> piece;

bool send_all(int to, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t count = send(to, data, size, MSG_NOSIGNAL);
    if (count < 0) return false;
    data += count;
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

// Gives whether the one who sent it goes on.
bool pass(int from, int to) {
  const ssize_t count = recv(from, piece.data(), piece.size(), 0);
  return count > 0 && send_all(to, piece.data(), static_cast<std::size_t>(count));
}

bool pass_in(SSL* from, int to) {
  // All that is there: records are 16 KiB at most, and a write for each would be what is measured.
  std::size_t filled = 0;
  bool goes_on = true;
  do {
    const int count = SSL_read(from, piece.data() + filled, static_cast<int>(piece.size() - filled));
    goes_on = count > 0 || SSL_get_error(from, count) == SSL_ERROR_WANT_READ;
    if (count <= 0) break;
    filled += static_cast<std::size_t>(count);
  } while (filled < piece.size() && SSL_has_pending(from) == 1);
  return send_all(to, piece.data(), filled) && goes_on;
}

// Replies, which are short.
bool pass_out(int from, SSL* to) {
  const ssize_t count = recv(from, piece.data(), piece.size(), 0);
  return count > 0 && SSL_write(to, piece.data(), static_cast<int>(count)) > 0;
}

SSL* secured(int connection, const char* ca_file) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, k_piece);
  if (SSL_CTX_load_verify_locations(context, ca_file, nullptr) != 1) die(ca_file);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL* ssl = SSL_new(context);
  SSL_CTX_free(context);  // the connection holds it
  SSL_set1_host(ssl, "localhost");
  SSL_set_fd(ssl, connection);
  if (SSL_connect(ssl) != 1) {
    ERR_print_errors_fp(stderr);
    die("TLS handshake");
  }
  // What comes first may be a session ticket, after which nobody says anything before the target has.
  fcntl(connection, F_SETFL, fcntl(connection, F_GETFL) | O_NONBLOCK);
  return ssl;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) die("relay SENDER TARGET [CA_FILE]");
  const int sender = bench::connect_to(std::atoi(argv[1]));
  const int target = bench::connect_to(std::atoi(argv[2]));
  SSL* ssl = argc == 4 ? secured(sender, argv[3]) : nullptr;
  std::array<pollfd, 2> both{{{sender, POLLIN, 0}, {target, POLLIN, 0}}};
  for (bool goes_on = true; goes_on;) {
    const bool has_more = ssl != nullptr && SSL_has_pending(ssl) == 1;
    if (poll(both.data(), both.size(), has_more ? 0 : -1) < 0) die("poll");
    if (has_more || both[0].revents != 0) goes_on = ssl != nullptr ? pass_in(ssl, target) : pass(sender, target);
    if (goes_on && both[1].revents != 0) goes_on = ssl != nullptr ? pass_out(target, ssl) : pass(target, sender);
  }
  SSL_free(ssl);
}
