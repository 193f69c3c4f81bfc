#pragma once

#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../pure/fake_files.hpp"
#include "../pure/temporary_directory.hpp"
#include "net/memory.hpp"
#include "net/network.hpp"
#include "queue/intake.hpp"
#include "recorded_log.hpp"
#include "send/flush.hpp"

namespace odmr::test {

/// What has just been said to the host, or is about to happen.
struct Moment {
  std::size_t connection = 0;  ///< from 1
  std::string step;            ///< "connect", "greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot", "RSET", "QUIT" …
  std::string line;            ///< the command
  std::string subject;         ///< at the dot: of the message
};

/// What the host does then.
struct Act {
  std::string reply;          ///< in place of the usual one; several lines, each ended by "\n", are a reply of several
  bool closes_first = false;  ///< without a word
  bool closes_then = false;
  Duration thinks{};  ///< before it says anything
};

/// A message that the host has answered 2xx for.
struct Taken {
  std::size_t connection = 0;
  std::string mail;                ///< the command
  std::vector<std::string> rcpts;  ///< those that it accepted, likewise
  std::string content;
  std::string subject;
  bool is_heard = true;  ///< the answer got onto the line
};

/// A smart host in memory, and the network on which it is the only one. It speaks as `mood` has it, and otherwise as a
/// good host does; replies wait until the input has run dry.
class SmartHost final : public net::Network {
 public:
  explicit SmartHost(net::Simulation& simulation) : simulation_(simulation) {}

  Clock& clock() override { return simulation_; }
  net::Task<Result<net::Stream>> connect(const net::Endpoint& endpoint, Duration patience, Stop& stop) override;

  std::function<std::optional<Act>(const Moment&)> mood;
  std::vector<std::string> offers{"PIPELINING", "8BITMIME", "SIZE 100000000", "ENHANCEDSTATUSCODES", "DSN", "SMTPUTF8"};
  std::shared_ptr<net::TlsContext> tls;                    ///< STARTTLS is offered with it
  std::map<std::size_t, net::Faults> faults;               ///< of our end, by connection
  std::map<std::uint16_t, std::vector<std::string>> pop3;  ///< ports that speak POP3: what they say, line by line

  std::size_t connections = 0;
  std::size_t open = 0;                   ///< now
  std::size_t most_open = 0;              ///< at once
  std::vector<Moment> moments;            ///< all of them, in order
  std::vector<Taken> taken;               ///< likewise
  std::vector<std::string> heard;         ///< by POP3
  std::shared_ptr<net::Traffic> traffic;  ///< of our end of the connection that was made last

  /// How often a message with that subject was taken.
  std::size_t count(const std::string& subject) const;
  /// How often there was such a moment.
  std::size_t times(const std::string& step) const;

 private:
  struct Line;
  net::Task<> attend(std::shared_ptr<Line> line);
  net::Task<> attend_pop(std::shared_ptr<Line> line, std::vector<std::string> script);
  net::Task<bool> obey(Line& line, std::string command);
  net::Task<bool> answer(Line& line, Moment moment, std::string usual);
  net::Task<bool> read_message(Line& line);
  net::Task<std::optional<std::string>> read_line(Line& line);
  std::string usual_reply(const Line& line, const std::string& verb) const;
  std::string hello() const;

  net::Simulation& simulation_;
  Stop patience_;
};

/// The real files without syncs; `refuses` makes calls fail whose name begins so, `times` of them.
class QueueFiles final : public WatchedFiles {
 public:
  Result<void> sync(int file) override { return refuses == "sync" ? WatchedFiles::sync(file) : Result<void>(); }
  std::string refuses;
  std::size_t times = std::numeric_limits<std::size_t>::max();

 private:
  Step step(const std::string& call) override {
    if (refuses.empty() || !call.starts_with(refuses) || times == 0) return Step::act;
    --times;
    return Step::refuse;
  }
};

/// A queue, a smart host, and the flush between them.
struct PostOffice {
  PostOffice();

  /// Puts a message into the queue; gives its id.
  std::string put(const std::string& subject, const std::vector<std::string>& recipients = {"b@example.net"},
                  const std::string& body = "text\r\n", spool::Attributes attributes = {},
                  const std::string& reverse_path = "a@example.org");
  /// Opens the queue anew, as a next run does, and flushes it.
  send::FlushReport flush();
  /// The same over a connection that was opened by hand; the host's greeting and EHLO are over then.
  send::FlushedOver flush_over();

  void open_queue();
  std::vector<queue::Entry> entries();
  queue::Entry entry(const std::string& subject);
  /// Lets time pass.
  void wait(Duration duration);

  TemporaryDirectory directory;
  QueueFiles files;
  RecordedLog log;
  queue::QueueOptions queue_options;
  send::FlushOptions options;
  std::map<std::string, std::string> subjects;  ///< by id
  std::vector<send::FlushTally> progress;
  Stop stop;
  std::optional<queue::Queue> queue;
  net::Simulation simulation;
  SmartHost host{simulation};
  std::optional<client::Session> session;  ///< of flush_over()
  std::unique_ptr<net::Worker> disk = net::make_inline_worker();
};

}  // namespace odmr::test
