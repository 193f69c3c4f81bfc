#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/log.hpp"
#include "net/stream.hpp"
#include "smtp/capabilities.hpp"
#include "smtp/reply.hpp"

namespace odmr::client {

enum class Dialect { smtp, lmtp };

/// How a line that we send may be shown in a trace.
enum class Visibility { open, secret };

/// The client's half of a conversation in SMTP or LMTP: commands out, replies in, one after the other or several under
/// way at once (RFC 2920). After an error the conversation is over; a reply, whatever its code, is no error.
class Session {
 public:
  /// `silence`: for each time the peer takes no byte of ours.
  Session(net::Stream stream, Dialect dialect, Log& log, Duration silence, smtp::ReplyLimits limits = {});

  /// The next reply, all of it within `patience`. Errors: malformed and too_long (the peer broke the protocol), and
  /// those of the stream.
  net::Task<Result<smtp::Reply>> read_reply(Duration patience);
  /// A line with its CRLF, or several of a group, sent at once. The bytes must stay until the step is over.
  net::Task<Result<void>> send(std::string_view line, Visibility visibility = Visibility::open);
  /// A group of commands and the message bytes that belong to its last one (BDAT), in one write.
  net::Task<Result<void>> send_with_content(std::string lines, std::string_view content);
  /// send() and read_reply(), with nothing else under way: a reply that is there before is an error (malformed), unless
  /// it is 421.
  net::Task<Result<smtp::Reply>> ask(std::string_view line, Duration patience,
                                     Visibility visibility = Visibility::open);
  /// What the peer has said already, without waiting: before the end of a message, and between transactions, it has
  /// been asked nothing. No value: nothing. Errors: as read_reply(), or the line is gone.
  net::Task<Result<std::optional<smtp::Reply>>> unasked_reply();
  /// Message bytes, already encoded; the trace shows their number.
  net::Task<Result<void>> send_content(std::string_view bytes);

  Dialect dialect() const { return dialect_; }
  const smtp::Capabilities& capabilities() const { return capabilities_; }
  void set_capabilities(smtp::Capabilities capabilities) { capabilities_ = std::move(capabilities); }
  bool can_pipeline() const { return capabilities_.has("PIPELINING"); }

  net::Stream& stream() { return stream_; }
  /// The stream with all that it has buffered, for the next conversation on the same line: the turn.
  net::Stream release() && { return std::move(stream_); }
  /// QUIT, the wait for its reply cut short after `patience`, and the end of the connection.
  net::Task<Result<smtp::Reply>> quit(Duration patience);
  void close() { stream_.close(); }

 private:
  net::Stream stream_;
  Dialect dialect_;
  Log& log_;
  Duration silence_;
  smtp::ReplyLimits limits_;
  smtp::Capabilities capabilities_;
};

}  // namespace odmr::client
