// A long line: passes bytes on half a round trip later, as many as come. It does not make the line slow, only long.
//
//   delay PORT ROUND_TRIP_MS [--watch]
//
// Prints "listening on PORT", and ends with its stdin. What the handshake of TCP costs is there, too: the first byte of
// either side travels after a round trip.
//
// With --watch it reads along (clear text only) and prints, as JSON, for each connection on which ATRN got its 250: how
// long it took from there to the last 250 that the provider got, and how often the direction had changed before.

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <string>
#include <vector>

#include "line.hpp"

namespace {

using bench::die;
using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

constexpr std::size_t k_piece = 256 * 1024;

struct Piece {
  Time due;
  std::string bytes;  // none: the end
  std::size_t sent = 0;
};

// What goes one way.
struct Way {
  int from = -1;
  int to = -1;
  std::deque<Piece> pieces;
  bool has_ended = false;   // nothing more is read
  bool has_passed = false;  // and the end was passed on
  bool is_full = false;     // whoever is to get it does not take it just now
};

// What --watch has seen.
struct Seen {
  bool is_asked = false;   // ATRN was said
  bool is_turned = false;  // and answered
  char last_side = ' ';
  std::uint64_t turns = 0;
  std::uint64_t turns_to_atrn = 0;
  Time turned;
  Time last_answer;
  std::uint64_t answers = 0;
  std::string reply;  // the end of what the customer has said
};

class Connection {
 public:
  Connection(int customer, int port, Clock::duration round_trip, bool watches)
      : half_(round_trip / 2), begins_(Clock::now() + round_trip + half_), port_(port), watches_(watches) {
    up_.from = customer;
    down_.to = customer;
    fcntl(customer, F_SETFL, fcntl(customer, F_GETFL) | O_NONBLOCK);
  }
  ~Connection() {
    close(up_.from);
    if (up_.to >= 0) close(up_.to);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool is_over() const { return up_.has_passed && down_.has_passed; }

  // What is to be waited for.
  void add_to(std::vector<pollfd>& all) const {
    if (up_.to < 0) return;
    all.push_back({up_.from, events(up_, down_), 0});
    all.push_back({up_.to, events(down_, up_), 0});
  }

  // When there is something to do though nothing comes.
  Time next() const {
    if (up_.to < 0) return begins_;
    Time first = Time::max();
    for (const Way* way : {&up_, &down_}) {
      if (!way->pieces.empty() && !way->is_full) first = std::min(first, way->pieces.front().due);
    }
    return first;
  }

  void work() {
    if (up_.to < 0) {
      if (Clock::now() < begins_) return;
      connect();
    }
    take(up_, 'c');
    take(down_, 'p');
    give(up_);
    give(down_);
  }

 private:
  static short events(const Way& in, const Way& out) {
    return static_cast<short>((in.has_ended ? 0 : POLLIN) | (out.is_full ? POLLOUT : 0));
  }

  void connect() {
    up_.to = down_.from = bench::connect_to(port_);
    fcntl(up_.to, F_SETFL, fcntl(up_.to, F_GETFL) | O_NONBLOCK);
  }

  void take(Way& way, char side) {
    static std::array<char, k_piece> buffer;
    // Not all that there is, where one side sends without end: the other way wants its turn.
    for (int i = 0; i < 8 && !way.has_ended; ++i) {
      const ssize_t count = recv(way.from, buffer.data(), buffer.size(), 0);
      if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
      way.has_ended = count <= 0;
      std::string bytes(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
      if (watches_) watch(side, bytes);
      way.pieces.push_back({Clock::now() + half_, std::move(bytes)});
    }
  }

  void give(Way& way) {
    way.is_full = false;
    while (!way.pieces.empty() && way.pieces.front().due <= Clock::now()) {
      Piece& piece = way.pieces.front();
      if (piece.bytes.empty()) {
        shutdown(way.to, SHUT_WR);
        way.has_passed = true;
      } else if (!send_some(way, piece)) {
        return;
      }
      if (piece.sent == piece.bytes.size()) way.pieces.pop_front();
    }
  }

  static bool send_some(Way& way, Piece& piece) {
    const ssize_t count = send(way.to, piece.bytes.data() + piece.sent, piece.bytes.size() - piece.sent, MSG_NOSIGNAL);
    way.is_full = count < 0 && (errno == EAGAIN || errno == EINTR);
    if (way.is_full) return false;
    piece.sent = count < 0 ? piece.bytes.size() : piece.sent + static_cast<std::size_t>(count);  // gone: thrown away
    return true;
  }

  void watch(char side, const std::string& bytes) {
    if (bytes.empty()) return print();
    if (side != seen_.last_side) ++seen_.turns;
    seen_.last_side = side;
    if (!seen_.is_asked) {
      seen_.is_asked = side == 'c' && bytes.starts_with("ATRN");
      seen_.turns_to_atrn = seen_.turns;
    } else if (!seen_.is_turned) {
      seen_.is_turned = side == 'p' && bytes.starts_with("250");
      seen_.turned = Clock::now();
    } else if (side == 'c') {
      count_answers(bytes);
    }
  }

  // Lines of the customer that begin with "250 ", wherever they are cut.
  void count_answers(const std::string& bytes) {
    seen_.reply += bytes;
    for (std::size_t end; (end = seen_.reply.find('\n')) != std::string::npos; seen_.reply.erase(0, end + 1)) {
      if (!seen_.reply.starts_with("250 ")) continue;
      ++seen_.answers;
      seen_.last_answer = Clock::now() + half_;
    }
  }

  void print() {
    if (!seen_.is_turned || seen_.answers == 0) return;
    std::printf("{\"answers\": %llu, \"seconds\": %.6f, \"turns_to_atrn\": %llu}\n",
                static_cast<unsigned long long>(seen_.answers),
                std::chrono::duration<double>(seen_.last_answer - seen_.turned).count(),
                static_cast<unsigned long long>(seen_.turns_to_atrn));
    std::fflush(stdout);
    seen_.is_turned = false;
  }

  const Clock::duration half_;
  const Time begins_;  // the connection behind us
  const int port_;
  const bool watches_;
  Way up_;    // from the customer
  Way down_;  // to the customer
  Seen seen_;
};

timespec until(Time time) {
  const auto left = std::max(time - Clock::now(), Clock::duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  return {seconds.count(), std::chrono::duration_cast<std::chrono::nanoseconds>(left - seconds).count()};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) die("delay PORT ROUND_TRIP_MS [--watch]");
  const int port = std::atoi(argv[1]);
  const auto round_trip = std::chrono::milliseconds(std::atoi(argv[2]));
  const bool watches = argc == 4 && std::strcmp(argv[3], "--watch") == 0;
  int own_port = 0;
  const int listener = bench::listen_anywhere(own_port);
  bench::say_port(own_port);
  std::list<Connection> connections;
  for (;;) {
    std::vector<pollfd> all{{listener, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    Time next = Time::max();
    for (const auto& one : connections) {
      one.add_to(all);
      next = std::min(next, one.next());
    }
    const timespec left = next == Time::max() ? timespec{} : until(next);
    if (ppoll(all.data(), all.size(), next == Time::max() ? nullptr : &left, nullptr) < 0 && errno != EINTR)
      die("poll");
    if (all[1].revents != 0) return 0;
    if (all[0].revents != 0) {
      const int customer = bench::next_connection(listener);
      if (customer < 0) return 0;
      connections.emplace_back(customer, port, round_trip, watches);
    }
    for (auto& one : connections) one.work();
    connections.remove_if([](const auto& one) { return one.is_over(); });
  }
}
