#pragma once

#include <string>

#include "base/outcome.hpp"
#include "client/open.hpp"

namespace odmr::trigger {

/// A text that has to be sent to a host for mail to come: MDaemon's QSND, finger (RFC 1288), and whatever else a
/// provider has thought of.
struct Signal {
  net::Endpoint endpoint;
  std::string text;      ///< sent as it stands
  std::string expected;  ///< what has to be in the answer, octet for octet; empty: any line will do
};

/// At most so much of an answer is looked through.
inline constexpr std::size_t k_longest_answer = std::size_t{64} * 1024;

/// What became of it.
struct SignalEnd {
  Outcome outcome = Outcome::no_mail;  ///< no_mail: it was taken
  Cause cause = Cause::unknown;
  std::string text;          ///< in words, with what was heard where that is not what was expected
  std::string heard;         ///< the end of what was heard: a stranger's words
  bool connected = false;    ///< a connection was made
  bool interrupted = false;  ///< it was us who wanted to stop
};

/// Connects (each address for `connect`), sends the text, and reads until what is expected has come: `patience` for all
/// of it. Then it closes. Ends early when `stop` is asked for. `on_step` may be null; it hears of the connection.
net::Task<SignalEnd> send_signal(net::Network& network, const Signal& signal, Duration connect, Duration patience,
                                 Log& log, Stop& stop, const client::OnStep* on_step = nullptr);

}  // namespace odmr::trigger
