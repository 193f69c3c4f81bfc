#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

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
  net::Task<Result<void>> flush();

  net::Stream& stream() { return stream_; }
  Clock& clock() const { return stream_.clock(); }
  Log& log() { return log_; }
  Duration silence() const { return silence_; }
  /// The stream with all that it has buffered. Replies must have been flushed.
  net::Stream release() && { return std::move(stream_); }

 private:
  net::Stream stream_;
  Log& log_;
  Duration silence_;
  std::string replies_;
};

}  // namespace odmr::server
