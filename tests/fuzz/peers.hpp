#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "net/memory.hpp"
#include "net/network.hpp"
#include "smtp/reply.hpp"

// The far ends of a session under fuzz: what they do comes from the input.
namespace odmr::fuzz {

/// What a peer does next. Before each step it waits until all is still.
struct Step {
  enum class Kind {
    say,
    wait,        ///< lets the clock go on
    half_close,  ///< FIN, and reads on
    reset,       ///< the line is lost
    log_in,      ///< a customer's CRAM-MD5, done right
  };
  Kind kind = Kind::say;
  std::string bytes;
  Duration duration{};
};
using Script = std::vector<Step>;

/// An input, read as a session: the size of our reads, flags, and a script for each connection. It is text, so that
/// transcripts and the dictionary are of use; the byte FF, which no protocol has, goes before what is none: 'q' (still,
/// then the next step), 'n' (the next connection's script), 'h', 'r', 'l' (half_close, reset, log_in), 'w' and a byte
/// (so many times five seconds).
struct Input {
  std::size_t segment = 1;
  std::uint8_t flags = 0;
  std::vector<Script> scripts;
};
/// Only with `may_log_in` there are steps that do: what they say is not in the script.
Input read_input(std::string_view bytes, bool may_log_in = false);

/// Says its script whatever it hears, then FIN, and reads to the end.
class Talker {
 public:
  Talker(net::Simulation& simulation, Script script) : simulation_(simulation), script_(std::move(script)) {}
  net::Task<> play(net::MemoryLine line);
  const std::string& heard() const { return heard_; }

 private:
  net::Task<> read(net::Transport& line, TimePoint deadline);
  net::Task<> log_in(net::Transport& line);

  net::Simulation& simulation_;
  Script script_;
  std::string heard_;
};

/// A mail server: each step of its script is the answer to one command, or to a message; a good server's answer follows
/// where it has run out. It keeps book as long as what it says is an answer.
class Host {
 public:
  struct Message {
    std::vector<std::string> rcpts;  ///< accepted, as commanded
    std::string content;
    std::vector<smtp::Reply> replies;  ///< to its end
    bool is_taken() const;
  };

  Host(net::Simulation& simulation, Script script, bool lmtp, bool pipelining);
  net::Task<> attend(net::MemoryLine line);

  const std::string& heard() const { return heard_; }
  /// The same without the beginning of a message that was never finished: how much of it went out before we knew that
  /// it would not be depends on how it came in.
  std::string_view settled() const {
    return std::string_view(heard_).substr(0, content_begin_.value_or(heard_.size()));
  }
  /// Whether it has kept to the protocol: what it noted of messages means nothing otherwise.
  bool is_in_step() const { return in_step_; }
  const std::vector<Message>& messages() const { return messages_; }
  const std::vector<std::string>& commands() const { return commands_; }

 private:
  net::Task<bool> answer(std::string usual, std::size_t due = 1);
  void note(std::string_view bytes, std::size_t due);
  net::Task<bool> fill();
  net::Task<bool> take_line();
  net::Task<bool> take_message();
  net::Task<bool> obey();

  net::Simulation& simulation_;
  std::deque<Step> script_;
  bool lmtp_;
  bool pipelining_;
  bool in_step_ = true;
  std::optional<net::MemoryLine> line_;
  std::string heard_;
  std::size_t read_ = 0;  // of it
  std::optional<std::size_t> content_begin_;
  std::string command_;
  std::vector<std::string> commands_;
  Message message_;
  std::vector<smtp::Reply> said_;  // the last answer
  std::vector<Message> messages_;
};

/// A network of hosts: the scripts from number `first` on are those of its connections, in their order. Flag 2: they do
/// not offer PIPELINING.
class Hosts final : public net::Network {
 public:
  Hosts(net::Simulation& simulation, const Input& input, std::size_t first, std::size_t segment, bool lmtp)
      : simulation_(simulation), input_(input), first_(first), segment_(segment), lmtp_(lmtp) {}
  Clock& clock() override { return simulation_; }
  net::Task<Result<net::Stream>> connect(const net::Endpoint& endpoint, Duration patience, Stop& stop) override;
  const std::deque<Host>& all() const { return hosts_; }

 private:
  net::Simulation& simulation_;
  const Input& input_;
  std::size_t first_;
  std::size_t segment_;
  bool lmtp_;
  std::deque<Host> hosts_;
};

/// What odmr has around it: the provider, whose first connection has the first script and its further ones those from
/// the third on; and at port 25 the target, whose first connection has the second script. Flag 1: it is LMTP.
class Surroundings final : public net::Network {
 public:
  Surroundings(net::Simulation& simulation, const Input& input, std::size_t segment)
      : targets(simulation, input, 1, segment, (input.flags & 1U) != 0),
        simulation_(simulation),
        input_(input),
        segment_(segment) {}
  Clock& clock() override { return simulation_; }
  net::Task<Result<net::Stream>> connect(const net::Endpoint& endpoint, Duration patience, Stop& stop) override;

  Hosts targets;
  std::deque<Talker> providers;

 private:
  net::Simulation& simulation_;
  const Input& input_;
  std::size_t segment_;
};

/// A log that remembers, for secrets to be looked for.
class Remembering final : public Log {
 public:
  bool wants(Level /*level*/) const override { return true; }
  std::string text;

 private:
  void write(Level level, std::string_view event, const Writable& fields) override;
};

/// What anybody hears from us: no CR or LF alone (a line may be cut off by its end), no line beyond `longest` octets
/// where it is not a message.
void require_clean(std::string_view heard);
void require_lines(std::string_view heard, std::size_t longest);
/// `secret` is in `text` in none of the forms in which it could go over a line, unless the peer has `said` that form
/// itself: a fuzzer finds out what is looked for.
void require_silence(std::string_view text, std::string_view secret, std::string_view said, const char* where);
/// Every message that a provider or customer has finished: what follows each DATA up to its CRLF.CRLF, decoded.
std::vector<std::string> finished_messages(std::string_view said);
/// All bytes of a script.
std::string all_of(const Script& script);

/// Two transcripts of the same bytes in other segments: an abort, with both, where they differ.
void require_same(const std::string& whole, const std::string& cut);

/// Waits until nothing else can go on.
net::Task<> be_still(net::Simulation& simulation);

}  // namespace odmr::fuzz
