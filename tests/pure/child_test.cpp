#include "base/child.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>

#include "temporary_directory.hpp"

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

namespace {

Result<std::string> last_words(const std::string& command, Duration patience = 20s, int asker = -1) {
  return last_words_of({"/bin/sh", "-c", command}, patience, asker);
}

bool is_gone(const std::string& pid) {
  return ::kill(std::stoi(pid), 0) != 0;
}

}  // namespace

TEST_CASE("a command that is run for what it does is heard on both streams, to its last words") {
  CHECK(last_words("echo dialling; echo CONNECT 57600 >&2; exit 0").value() == "dialling\nCONNECT 57600");
  CHECK(last_words("true").value().empty());
  CHECK(last_words("echo NO CARRIER >&2; exit 5").error() ==
        Error{Errc::io, "/bin/sh: ended with status 5; it said: NO CARRIER"});
  CHECK(last_words("exit 5").error() == Error{Errc::io, "/bin/sh: ended with status 5"});
  CHECK(last_words("echo word; kill -9 $$").error() == Error{Errc::io, "/bin/sh: killed by signal 9; it said: word"});
  const auto long_one = last_words("head -c 100000 /dev/zero | tr '\\0' a; printf z").value();
  CHECK(long_one == std::string(399, 'a') + "z");
  CHECK(last_words_of({"/no/such/program"}, 20s).error().code == Errc::not_found);
  CHECK(last_words_of({}, 20s).error().code == Errc::not_found);
}

TEST_CASE("what a command leaves in the background can go on, and talk") {
  const test::TemporaryDirectory directory;
  const std::string go = directory.path() + "/go";
  const std::string answer = directory.path() + "/answer";
  REQUIRE(::mkfifo(go.c_str(), 0600) == 0);
  REQUIRE(::mkfifo(answer.c_str(), 0600) == 0);
  // With a pipe that nobody reads any more it would die of SIGPIPE at its first word.
  CHECK(last_words("(read word <" + go + "; echo still here; echo alive >" + answer + ") & echo dialled").value() ==
        "dialled");
  CHECK(shell("echo word >" + go + "; cat " + answer).value() == "alive\n");
}

TEST_CASE("a command that takes too long hears SIGTERM first, and what it says then") {
  const auto hung_up = last_words("trap 'echo hanging up; exit 0' TERM; echo $$; while :; do sleep 0.01; done", 300ms);
  REQUIRE_FALSE(hung_up);
  CHECK(hung_up.error().code == Errc::timed_out);
  CHECK(hung_up.error().text.find("took too long; it said: ") != std::string::npos);
  CHECK(hung_up.error().text.find("hanging up") != std::string::npos);
  const auto stubborn = last_words("trap '' TERM; echo $$; while :; do sleep 0.01; done", 100ms);
  REQUIRE_FALSE(stubborn);
  CHECK(is_gone(stubborn.error().text.substr(stubborn.error().text.rfind(' ') + 1)));
}

TEST_CASE("a command ends when nobody asks any more") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  ::close(ends[0]);
  const auto asked = last_words("echo $$; exec sleep 1000", 1000s, ends[1]);
  ::close(ends[1]);
  REQUIRE_FALSE(asked);
  CHECK(asked.error().code == Errc::interrupted);
}
