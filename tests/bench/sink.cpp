// A smart host that does nothing but take mail, as fast as one thread can: what is measured against it is the sender.
// Prints "listening on PORT", and when its stdin ends how much it has taken.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

namespace {

struct Taken {
  std::uint64_t messages = 0;
  std::uint64_t connections = 0;
  std::uint64_t bytes = 0;
};

struct Client {
  std::string input;
  bool in_message = false;
  std::size_t seen = 0;  // of the message in the input, without the end of it
};

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

// Takes a whole message off the input, if it is there.
bool take_message(Client& client, Taken& taken) {
  const std::size_t end = client.input.find("\r\n.\r\n", client.seen);
  if (end == std::string::npos) {
    client.seen = client.input.size() < 4 ? 0 : client.input.size() - 4;
    // All but the last bytes can go: a 50 MiB message must not be what is measured.
    if (client.seen > 1 << 20) {
      taken.bytes += client.seen;
      client.input.erase(0, client.seen);
      client.seen = 0;
    }
    return false;
  }
  taken.bytes += end + 2;
  ++taken.messages;
  client.input.erase(0, end + 5);
  client.seen = 0;
  client.in_message = false;
  return true;
}

// Gives whether the client stays.
bool obey(Client& client, Taken& taken, std::string& replies) {
  for (;;) {
    if (client.in_message) {
      if (!take_message(client, taken)) return true;
      replies += "250 2.0.0 taken\r\n";
      continue;
    }
    const std::size_t end = client.input.find("\r\n");
    if (end == std::string::npos) return true;
    const std::string_view verb = std::string_view(client.input).substr(0, 4);
    bool stays = true;
    if (verb == "EHLO") {
      replies += "250-sink\r\n250-PIPELINING\r\n250-SIZE\r\n250 8BITMIME\r\n";
    } else if (verb == "DATA") {
      replies += "354 go on\r\n";
      client.in_message = true;
    } else if (verb == "QUIT") {
      replies += "221 bye\r\n";
      stays = false;
    } else {
      replies += "250 ok\r\n";
    }
    client.input.erase(0, end + 2);
    if (!stays) return false;
  }
}

class Sink {
 public:
  Sink() {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("bind");
    if (listen(listener_, 64) != 0) die("listen");
    socklen_t length = sizeof address;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    std::printf("listening on %d\n", static_cast<int>(ntohs(address.sin_port)));
    std::fflush(stdout);
    poll_ = epoll_create1(EPOLL_CLOEXEC);
    watch(listener_);
    watch(STDIN_FILENO);
  }

  void run() {
    for (std::array<epoll_event, 64> events{};;) {
      const int count = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        const int file = events.at(static_cast<std::size_t>(i)).data.fd;
        if (file == STDIN_FILENO) return report();
        if (file == listener_)
          welcome();
        else
          hear(file);
      }
    }
  }

 private:
  void watch(int file) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = file;
    if (epoll_ctl(poll_, EPOLL_CTL_ADD, file, &event) != 0) die("epoll_ctl");
  }

  void welcome() {
    const int file = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (file < 0) return;
    const int on = 1;
    setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ++taken_.connections;
    clients_[file];
    watch(file);
    say(file, "220 sink ESMTP\r\n");
  }

  static void say(int file, std::string_view text) {
    if (send(file, text.data(), text.size(), MSG_NOSIGNAL) < 0) std::perror("send");
  }

  void hear(int file) {
    Client& client = clients_[file];
    static std::array<char, 256 * 1024> piece;
    const ssize_t count = recv(file, piece.data(), piece.size(), 0);
    bool stays = count > 0;
    if (stays) {
      client.input.append(piece.data(), static_cast<std::size_t>(count));
      std::string replies;
      stays = obey(client, taken_, replies);
      if (!replies.empty()) say(file, replies);
    }
    if (stays) return;
    close(file);
    clients_.erase(file);
  }

  void report() const {
    std::printf("taken %llu messages, %llu bytes, over %llu connections\n",
                static_cast<unsigned long long>(taken_.messages), static_cast<unsigned long long>(taken_.bytes),
                static_cast<unsigned long long>(taken_.connections));
  }

  int listener_ = -1;
  int poll_ = -1;
  std::map<int, Client> clients_;
  Taken taken_;
};

}  // namespace

int main() {
  Sink().run();
}
