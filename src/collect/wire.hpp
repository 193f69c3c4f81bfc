#pragma once

#include <string>
#include <string_view>

#include "base/log.hpp"
#include "client/open.hpp"
#include "net/stream.hpp"

namespace odmr::collect {

/// The client's half of a conversation with a mail server that is no SMTP: commands out, lines in. After an error the
/// conversation is over.
class Wire {
 public:
  Wire(net::Stream stream, const client::Server& server, Log& log);

  /// The next line without its line end, at most `longest` octets; an LF alone ends one too, as servers on the home
  /// side of a gateway send it. Errors: too_long, and those of the stream.
  net::Task<Result<std::string>> read_line(std::size_t longest);
  net::Task<Result<std::string>> read_line(std::size_t longest, Duration patience);
  /// At least one byte more in the stream's buffer, or the error why not.
  net::Task<Result<void>> fill();
  /// The bytes must stay until it is over. What the trace shows of them is `shown`, where that is not empty.
  net::Task<Result<void>> send(std::string_view lines, std::string_view shown = {});

  /// Puts TLS over the line. A byte that is here already came in clear text, and ends it (CVE-2011-0411).
  net::Task<std::optional<client::OpenFailure>> begin_tls(const client::OnStep* on_step);

  /// Says good-bye with this command, and waits a moment for the server to go: where the login came to nothing, and
  /// both are still in step.
  net::Task<> part(std::string line);

  net::Stream& stream() { return stream_; }
  const client::Server& server() const { return server_; }
  Log& log() { return log_; }
  /// How long a message may be silent on its way to us.
  void set_patience(Duration patience) { patience_ = patience; }

 private:
  net::Stream stream_;
  const client::Server server_;
  Log& log_;
  Duration patience_;
};

/// Whether the server has refused something and still listens.
bool is_in_step_after(const client::OpenFailure& failure);

/// What went wrong on the wire, in words, and with whom.
Error out_of_step(Wire& wire, std::string_view what);

}  // namespace odmr::collect
