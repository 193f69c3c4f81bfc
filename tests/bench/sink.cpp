// A smart host that does nothing but take mail, as fast as one thread can: what is measured against it is the sender.
// Prints "listening on PORT", and when its stdin ends how much it has taken. `sink MICROSECONDS` takes that long over
// each message, to see whether a slow one shows.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
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
  std::size_t begin = 0;  // of what has not been looked at; what is before it goes at the end of a turn
  bool in_message = false;
  std::size_t chunk_left = 0;  // of what a BDAT has announced
  bool is_last_chunk = false;

  std::string_view rest() const { return std::string_view(input).substr(begin); }
};

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

// The end of the message, a dot between two line ends: dots are rarer than line ends.
std::size_t find_end(std::string_view input) {
  for (std::size_t dot = input.find('.', 2); dot != std::string_view::npos; dot = input.find('.', dot + 1)) {
    if (input.compare(dot - 2, 5, "\r\n.\r\n") == 0) return dot - 2;
  }
  return std::string_view::npos;
}

// Takes the rest of a message off the input, if it is there, and otherwise all but what may be the begin of its end.
// Before the first line stands the end of the line with DATA.
bool take_message(Client& client, Taken& taken) {
  constexpr std::size_t k_end = 5;
  const auto rest = client.rest();
  const std::size_t end = find_end(rest);
  if (end == std::string_view::npos) {
    const std::size_t sure = rest.size() < k_end ? 0 : rest.size() - k_end + 1;
    taken.bytes += sure;
    client.begin += sure;
    return false;
  }
  taken.bytes += end;
  ++taken.messages;
  client.begin += end + k_end;
  client.in_message = false;
  return true;
}

// Takes what has come of a chunk; gives whether that was all of it.
bool take_chunk(Client& client, Taken& taken) {
  const std::size_t size = std::min(client.chunk_left, client.rest().size());
  client.begin += size;
  client.chunk_left -= size;
  taken.bytes += size;
  if (client.chunk_left > 0) return false;
  if (client.is_last_chunk) ++taken.messages;
  return true;
}

void begin_chunk(Client& client, Taken& taken, std::string_view line, std::string& replies) {
  client.is_last_chunk = line.ends_with("LAST");
  client.chunk_left = std::strtoul(line.data() + 4, nullptr, 10);
  if (client.chunk_left > 0) return;
  if (client.is_last_chunk) ++taken.messages;
  replies += "250 2.0.0 taken\r\n";
}

// Gives whether the client stays.
bool obey(Client& client, Taken& taken, std::string& replies) {
  for (;;) {
    if (client.chunk_left > 0 || client.in_message) {
      if (!(client.in_message ? take_message(client, taken) : take_chunk(client, taken))) return true;
      replies += "250 2.0.0 taken\r\n";
      continue;
    }
    const std::size_t end = client.rest().find("\r\n");
    if (end == std::string_view::npos) return true;
    const std::string_view line = client.rest().substr(0, end);
    const std::string_view verb = line.substr(0, 4);
    client.begin += end + 2;
    if (verb == "EHLO") {
      replies += "250-sink\r\n250-PIPELINING\r\n250-SIZE\r\n250-CHUNKING\r\n250 8BITMIME\r\n";
    } else if (verb == "BDAT") {
      begin_chunk(client, taken, line, replies);
    } else if (verb == "DATA") {
      replies += "354 go on\r\n";
      client.in_message = true;
      client.begin -= 2;
    } else if (verb == "QUIT") {
      replies += "221 bye\r\n";
      return false;
    } else {
      replies += "250 ok\r\n";
    }
  }
}

class Sink {
 public:
  explicit Sink(useconds_t takes) : takes_(takes) {
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
      const auto before = taken_.messages;
      stays = obey(client, taken_, replies);
      for (auto i = before; takes_ > 0 && i < taken_.messages; ++i) usleep(takes_);
      client.input.erase(0, client.begin);
      client.begin = 0;
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

  const useconds_t takes_;  // for each message
  int listener_ = -1;
  int poll_ = -1;
  std::map<int, Client> clients_;
  Taken taken_;
};

}  // namespace

int main(int argc, char** argv) {
  Sink(argc > 1 ? static_cast<useconds_t>(std::strtoul(argv[1], nullptr, 10)) : 0).run();
}
