// A connection of the bench's programs, plain or TLS. Writing takes in what comes meanwhile, so that two who both write
// do not wait for each other.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace bench {

// Says what failed, with errno, and ends the program.
[[noreturn]] void die(const std::string& what);

// A listener on 127.0.0.1, at a port that the system chose.
int listen_anywhere(int& port);
int connect_to(int port);

// Prints "listening on PORT" for whoever started us.
void say_port(int port);

// Waits for a connection; -1 once our stdin has ended.
int next_connection(int listener);

class Line {
 public:
  explicit Line(int socket) : Line(socket, nullptr, false) {}
  Line(int socket, SSL_CTX* context, bool is_server);
  ~Line();
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  // From here on TLS; ends the program where that fails.
  void secure(SSL_CTX* context, bool is_server);

  // All of it, or false where the peer has gone.
  bool write(std::string_view data);
  // Waits until more is in `input`; false at the end.
  bool read();
  // Takes what is there, and does not wait.
  void take();

  // The next reply, all of its lines; empty at the end.
  std::string read_reply();
  // The next line, without its end; false at the end.
  bool read_line(std::string& line);
  // The code of the next reply that has come in whole, and takes it out; 0 where none has.
  int next_code();

  // How often we needed an answer to go on, after we had written something: round trips. The peer does not wait for
  // what ends a handshake of TLS, so that is not counted.
  std::uint64_t waits() const { return waits_; }
  const std::string& tls() const { return tls_; }

 private:
  enum class Got { bytes, nothing_yet, end };
  Got read_some();
  bool send_all(std::string_view data);
  bool flush();
  void note_wait();
  void wait_for(short events) const;
  std::size_t reply_length() const;

  int socket_;
  SSL* ssl_ = nullptr;
  BIO* outgoing_ = nullptr;  // records that have not been sent
  std::string input_;
  std::string tls_;
  std::uint64_t waits_ = 0;
  bool has_written_ = false;
  bool is_over_ = false;
};

}  // namespace bench
