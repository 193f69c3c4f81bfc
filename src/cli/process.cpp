#include "cli/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <system_error>

#include "base/ascii.hpp"
#include "base/outcome.hpp"
#include "show/print.hpp"

namespace odmr::cli {

namespace {

bool reader_left(int pipe) {
  pollfd one{pipe, 0, 0};
  return poll(&one, 1, 0) == 1 && (one.revents & POLLERR) != 0;
}

}  // namespace

void prepare_process() {
  // Write-only where stdin was closed: reading from it then fails, as it did, and is no empty message.
  int fd = open("/dev/null", fcntl(STDIN_FILENO, F_GETFD) == -1 ? O_WRONLY : O_RDWR);
  while (fd >= 0 && fd <= 2) fd = open("/dev/null", O_RDWR);
  if (fd > 2) close(fd);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit is an error of write (EFBIG), like a full disk
  umask(077);
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  prctl(PR_SET_DUMPABLE, 0);
}

int tell_fault(const std::string& program, const std::exception& problem) {
  // Asio's codes have a category of their own: by their number.
  const auto* of_system = dynamic_cast<const std::system_error*>(&problem);
  if (of_system != nullptr && (of_system->code().value() == EMFILE || of_system->code().value() == ENFILE)) {
    show::print_line(stderr, program + ": too few file descriptors: let it have more (ulimit -n, LimitNOFILE=); some " +
                                 "hundred are plenty");
    return EX_CANTCREAT;
  }
  show::print_line(stderr, program + ": a fault of its own, please report it: " + escape(problem.what()));
  return exit_status(Outcome::bug);
}

int guarded(const std::string& program, int (*own_main)(int, char**), int argc, char** argv) {
  try {
    return own_main(argc, argv);
  } catch (const std::exception& problem) {
    return tell_fault(program, problem);
  }
}

int as_printed(const std::string& program, int status) {
  std::fflush(stdout);
  if (std::ferror(stdout) == 0 || reader_left(STDOUT_FILENO)) return status;
  show::print_line(stderr, program + ": standard output cannot be written: what belongs there is lost");
  return status == 0 ? EX_IOERR : status;
}

void leave(int exit_status) {
  std::fflush(nullptr);
  std::_Exit(exit_status);
}

}  // namespace odmr::cli
