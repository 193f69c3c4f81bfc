#include "base/child.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>

using namespace odmr;
using namespace std::chrono_literals;

namespace {

Result<std::string> shell(const std::string& command, Duration patience = 20s) {
  return output_of({"/bin/sh", "-c", command}, patience);
}

}  // namespace

TEST_CASE("a child's output is what it wrote, to the byte") {
  CHECK(shell("printf 'a\\nb\\000c'").value() == std::string("a\nb\0c", 5));
  CHECK(shell("true").value().empty());
  CHECK(output_of({"echo", "$HOME; *"}, 20s).value() == "$HOME; *\n");
  CHECK(shell("head -c 65536 /dev/zero").value().size() == 65536);
}

TEST_CASE("a child has nothing on stdin, and none of our files") {
  CHECK(shell("cat").value().empty());
  const int leak = ::open("/dev/null", O_RDONLY);  // without close-on-exec
  REQUIRE(leak > 2);
  // ls itself opens one.
  CHECK(shell("ls /proc/self/fd | tr '\\n' ' '").value() == "0 1 2 3 ");
  ::close(leak);
}

TEST_CASE("a child starts with the usual signals") {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  const std::string ignored = shell("grep SigIgn /proc/self/status").value();
  CHECK((std::stoull(ignored.substr(8), nullptr, 16) & (1ULL << (SIGPIPE - 1))) == 0);
  std::signal(SIGPIPE, before);
}

TEST_CASE("why there is no output") {
  CHECK(output_of({}, 1s).error() == Error{Errc::not_found, "no command was given"});
  CHECK(output_of({""}, 1s).error() == Error{Errc::not_found, "no command was given"});
  CHECK(output_of({"/no/such/program"}, 1s).error() ==
        Error{Errc::not_found, "/no/such/program: No such file or directory"});
  CHECK(shell("echo secret; exit 3").error() == Error{Errc::io, "/bin/sh: ended with status 3"});
  CHECK(shell("kill -9 $$").error() == Error{Errc::io, "/bin/sh: killed by signal 9"});
  CHECK(shell("head -c 65537 /dev/zero").error() == Error{Errc::too_long, "/bin/sh: wrote more than 65536 bytes"});
  CHECK(shell("yes").error().code == Errc::too_long);
}

TEST_CASE("a child that takes too long is killed with its children") {
  const auto begin = std::chrono::steady_clock::now();
  CHECK(shell("sleep 100", 50ms).error() == Error{Errc::timed_out, "/bin/sh: took too long"});
  CHECK(shell("exec >&-; sleep 100", 50ms).error().code == Errc::timed_out);
  const std::string tag = "86" + std::to_string(::getpid());
  CHECK(shell("sleep " + tag + " & wait", 200ms).error().code == Errc::timed_out);
  CHECK(std::chrono::steady_clock::now() - begin < 20s);
  // Dead, though perhaps not collected yet by whoever inherits it.
  CHECK(shell("sleep 0.2; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c 'sleep " + tag + "' || true")
            .value() == "1\n");
}

TEST_CASE("what a child leaves running is not waited for") {
  const auto begin = std::chrono::steady_clock::now();
  CHECK(shell("echo secret; sleep 5 2>/dev/null &").value() == "secret\n");
  CHECK(std::chrono::steady_clock::now() - begin < 4s);
}
