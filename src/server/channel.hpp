#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "net/stream.hpp"
#include "smtp/reply.hpp"

namespace odmr::server {

/// A line that a client sent.
struct Line {
  enum class Fault { none, too_long, stray_newline };
  std::string text;  ///< without CRLF; empty where there is a fault
  Fault fault = Fault::none;
};

/// Takes the first line off `input`, without its CRLF. No value: it is not there as a whole, or is at fault.
std::optional<std::string_view> next_line(std::string_view& input, std::size_t longest);

/// The server's half of a line-by-line conversation: commands in, replies out. Replies wait until the input has run
/// dry, so that a pipelined group (RFC 2920) is answered in one write.
class Channel {
 public:
  /// `silence`: for each time the peer takes no byte of ours.
  Channel(net::Stream stream, Log& log, Duration silence);

  /// The next line, at most `longest` octets with its CRLF; a longer one is read to its end and thrown away. Sends
  /// what replies are waiting before it waits itself. A fault is no error: answer it with 500. The trace shows the line
  /// unless it is `secret`. Errors: those of the stream.
  net::Task<Result<Line>> read_line(std::size_t longest, TimePoint deadline, bool secret = false);

  void reply(const smtp::Reply& reply);
  /// Where two flush at once, the first one sends for both.
  net::Task<Result<void>> flush();
  /// As Stream::fill().
  net::Task<Result<void>> fill(TimePoint deadline);
  /// Somebody is in fill(): what has come so far has been read.
  bool is_filling() const { return is_filling_; }

  /// A place among the replies, for those to something that takes its time: what is replied from now on waits behind
  /// it, until it is filled.
  using Place = std::uint64_t;
  Place reserve();
  void reply_at(Place place, std::vector<smtp::Reply> replies);
  /// Whether a place is not filled; how many replies wait behind such places.
  bool owes() const { return !owed_.empty(); }
  std::size_t held() const { return held_; }

  net::Stream& stream() { return stream_; }
  Clock& clock() const { return stream_.clock(); }
  Log& log() { return log_; }
  Duration silence() const { return silence_; }
  /// The stream with all that it has buffered. Replies must have been flushed.
  net::Stream release() && { return std::move(stream_); }

 private:
  struct Owed {
    Place place = 0;
    std::optional<std::vector<smtp::Reply>> replies;
    std::vector<smtp::Reply> behind;
  };
  void put(const smtp::Reply& reply);

  net::Stream stream_;
  Log& log_;
  Duration silence_;
  std::string replies_;
  std::deque<Owed> owed_;
  Place last_place_ = 0;
  std::size_t held_ = 0;
  bool is_filling_ = false;
  bool is_flushing_ = false;
};

}  // namespace odmr::server
