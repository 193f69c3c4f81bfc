#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "base/cause.hpp"

namespace odmr {

/// What went wrong, as far as a caller acts on it. The sentence for people is Error::text.
enum class Errc {
  closed,       ///< the peer ended the stream in good order (EOF)
  lost,         ///< the connection broke: reset, broken pipe, network gone
  timed_out,    ///< our patience ended
  interrupted,  ///< our own side asked the operation to stop; the stream is still good
  unresolved,   ///< a name has no address, or the resolver did not answer
  unreachable,  ///< no address took the connection
  tls,          ///< handshake or record layer failed
  untrusted,    ///< the peer's certificate is not accepted
  malformed,    ///< bytes that do not follow their grammar
  too_long,     ///< a limit was passed
  denied,       ///< permission, or a secret others may read
  no_space,     ///< disk or quota full, or no room in a bounded buffer
  busy,         ///< somebody else holds it
  not_found,
  io,  ///< another system error
};

struct Error {
  Errc code = Errc::io;
  std::string text;              ///< one sentence without a final dot; may hold a peer's words: escape() before showing
  Cause cause = Cause::unknown;  ///< where it is known more exactly than the code has it

  friend bool operator==(const Error&, const Error&) = default;
};

/// A value, or why there is none. Expected failures travel this way; exceptions are for bugs and for memory.
template <class T = void>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Errc code, std::string text) {
  return tl::unexpected<Error>(Error{code, std::move(text)});
}

inline tl::unexpected<Error> fail(Errc code, std::string text, Cause cause) {
  return tl::unexpected<Error>(Error{code, std::move(text), cause});
}

inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

/// `errno` as an Error: "PLACE: message", the code chosen by what the number means.
Error system_error(int errno_value, const std::string& place);

}  // namespace odmr
