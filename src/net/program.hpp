#pragma once

#include <asio/io_context.hpp>
#include <functional>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "base/stop.hpp"
#include "net/stream.hpp"

namespace odmr::net {

/// A program that was asked for, to be spoken to over its standard input and output.
struct ProgramOnItsWay {
  Descriptor line;    ///< our end of a stream socket, whose other end is the program's
  Descriptor answer;  ///< can be read once the program runs, or cannot be started
  std::function<Result<void>(const Descriptor& answer)> begun;  ///< which of the two, to be asked for then
};

/// Asks for a program, by its words, and does not wait for it.
using BeginProgram = std::function<Result<ProgramOnItsWay>(const std::vector<std::string>& words)>;

/// The words of a program as one text, for people.
std::string words_as_text(const std::vector<std::string>& words);

/// A conversation with a program. Closing it is the program's end of input. Errors: unreachable, with the reason;
/// timed_out; interrupted.
Task<Result<Stream>> connect_to_program(asio::io_context& loop, Clock& clock, const BeginProgram& begin,
                                        const std::vector<std::string>& words, Duration patience, Stop& stop);

}  // namespace odmr::net
