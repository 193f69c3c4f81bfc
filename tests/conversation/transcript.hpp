#pragma once

#include <map>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"

// The transcripts of tests/conversation/transcripts, read into values. README.md beside this file says what they look
// like.
namespace odmr::conversation {

/// Who is at the other end of a line.
enum class Peer { provider, target };
std::string_view name(Peer peer);

/// One thing that a peer does, or waits for.
struct Step {
  enum class Kind {
    send,          ///< S:  text, escapes resolved, its CRLF in it; S- without CRLF
    data,          ///< DATA: as many bytes of a message as `size` says, without the final dot
    expect,        ///< C:  exactly this line
    expect_like,   ///< C~  a line that matches
    expect_reply,  ///< C+  a whole reply, however many lines, its first beginning so
    content,       ///< CONTENT: our message, to its final dot; with a size: at least so many bytes of it
    tls,           ///< TLS: the server's handshake, with the certificate of that name
    sasl,          ///< SASL: one whole AUTH exchange
    clear,         ///< CLEAR: bytes past TLS
    clock,         ///< CLOCK, PAUSE: time goes by
    close,         ///< CLOSE: good-bye on all layers, nothing read any more
    half_close,    ///< HALF-CLOSE: FIN, and goes on reading
    reset,         ///< RESET: the line is lost, for both ends
    end,           ///< END: we close, and say nothing before it
    drain,         ///< DRAIN: we close, whatever we say before it
    stop,          ///< STOP: SIGTERM
    leave,         ///< LEAVE: a second SIGTERM
    enough,        ///< ENOUGH: a held line is not to be waited on any longer
  };
  Kind kind = Kind::send;
  std::string text;
  std::regex pattern;            ///< of expect_like
  std::size_t size = 0;          ///< of data and content
  std::optional<Duration> time;  ///< of clock, and of "END after"
  std::size_t line = 0;          ///< in the file
};

/// A connection that we make, and what its other end does.
struct Part {
  enum class Fate { taken, refused, unresolved, hangs };
  Peer peer = Peer::provider;
  Fate fate = Fate::taken;
  std::optional<std::size_t> room;  ///< unread bytes the peer's end holds
  std::vector<Step> steps;
  std::size_t line = 0;
};

/// How the session is to end.
struct Expectation {
  std::string outcome;
  std::map<std::string, std::string>
      counts;  ///< those not named are zero; "bytes" and "connections" have other defaults
  std::optional<std::string> reply;
  std::optional<std::string> tls;
  std::optional<std::string> auth;
  std::optional<std::regex> text;
  std::vector<std::string> kept;     ///< likewise
  std::vector<std::string> bounces;  ///< "REVERSE-PATH RECIPIENT CODE", each in turn
  std::vector<std::regex> logged;
};

struct Transcript {
  std::string name;  ///< "file/title"
  std::map<std::string, std::string> settings;
  std::vector<Part> parts;
  Expectation expectation;
};

/// All scenarios in a file's text. Throws std::runtime_error, with file and line, for what is no transcript.
/// `phrases` is the text of phrases.txt.
std::vector<Transcript> read_transcripts(const std::string& file, std::string_view text, std::string_view phrases);

/// "90s", "10m", "2h".
Duration read_duration(const std::string& text);

}  // namespace odmr::conversation
