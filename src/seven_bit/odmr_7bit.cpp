// odmr-7bit: a message on stdin, made fit for a server without 8BITMIME on stdout. What it does, and what it leaves
// alone, is in seven_bit/plan.hpp. `odmr` runs it for `convert_8bit`.
//
// Exit status (sysexits.h): 0 converted; 65 the message is to go as it is, and nothing was written: there is nothing to
// convert, or it must not be; 64 called with arguments; 74 trouble with a file; 70 anything else.

#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>

#include "seven_bit/convert.hpp"

namespace {

using namespace odmr::seven_bit;

constexpr std::size_t k_piece = std::size_t{64} * 1024;

void say(const char* what) {
  std::fprintf(stderr, "odmr-7bit: %s\n", what);
}

void write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw InputOutputError(std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

// Stdin where it is a file that is read from its beginning, else a copy of it without a name.
int message_file() {
  struct stat status {};
  if (::fstat(STDIN_FILENO, &status) != 0) throw InputOutputError(std::strerror(errno));
  if (S_ISREG(status.st_mode) && ::lseek(STDIN_FILENO, 0, SEEK_CUR) == 0) return STDIN_FILENO;
  std::FILE* copy = std::tmpfile();
  if (copy == nullptr) throw InputOutputError(std::strerror(errno));
  const int file = ::fileno(copy);
  std::array<char, k_piece> piece{};
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw InputOutputError(std::strerror(errno));
    if (count == 0) return file;
    write_all(file, std::string_view(piece.data(), static_cast<std::size_t>(count)));
  }
}

int run() {
  const Source source(message_file());
  const Plan what = plan(source);
  if (what.edits.empty()) {
    say(("the message stays as it is: " + what.why).c_str());
    return EX_DATAERR;
  }
  std::string waiting;
  convert(source, what, [&](std::string_view piece) {
    waiting += piece;
    if (waiting.size() < k_piece) return;
    write_all(STDOUT_FILENO, waiting);
    waiting.clear();
  });
  write_all(STDOUT_FILENO, waiting);
  return EX_OK;
}

// A message of millions of parts takes a kilobyte for each in the library's tree. Other mail waits meanwhile, and this
// one can go as it is.
void limit_ourselves() {
#ifndef __SANITIZE_ADDRESS__
  constexpr rlimit most_memory{std::size_t{512} << 20, std::size_t{512} << 20};
  static_cast<void>(setrlimit(RLIMIT_AS, &most_memory));
#endif
  constexpr rlimit most_seconds{20, 20};
  static_cast<void>(setrlimit(RLIMIT_CPU, &most_seconds));
}

}  // namespace

int main(int argc, char** /*argv*/) {
  if (argc != 1) {
    say("usage: odmr-7bit <message >converted");
    return EX_USAGE;
  }
  limit_ourselves();
  try {
    return run();
  } catch (const InputOutputError& error) {
    say(error.what());
    return EX_IOERR;
  } catch (const std::exception& error) {
    say(error.what());
    return EX_SOFTWARE;
  }
}
