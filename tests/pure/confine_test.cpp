#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

#include "base/child.hpp"
#include "base/own_program.hpp"
#include "confine/confinement.hpp"
#include "confine/helper.hpp"
#include "confine/landlock.hpp"
#include "confine/user.hpp"
#include "temporary_directory.hpp"

using namespace odmr;
using odmr::test::TemporaryDirectory;
using namespace std::chrono_literals;

namespace {

// What a child found; the tests of Catch2 stay with the parent.
std::string in_child(const std::function<std::string()>& work) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    const std::string found = work();
    static_cast<void>(!::write(ends[1], found.data(), found.size()));
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string found;
  std::array<char, 4096> piece{};
  for (ssize_t count = 0; (count = ::read(ends[0], piece.data(), piece.size())) > 0;) {
    found.append(piece.data(), static_cast<std::size_t>(count));
  }
  ::close(ends[0]);
  ::waitpid(pid, nullptr, 0);
  return found;
}

std::string result_of(int returned) {
  return returned >= 0 ? "ok" : ::strerrorname_np(errno);
}

std::string open_to(const std::string& path, int flags) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  const std::string result = result_of(file);
  if (file >= 0) ::close(file);
  return result;
}

// A directory that the rules name, one that they let be read, and one that they do not know.
struct Place {
  Place() {
    for (const char* name : {"inside", "inside/tmp", "inside/new", "library", "outside"}) {
      REQUIRE(::mkdir((top() + "/" + name).c_str(), 0700) == 0);
    }
    for (const char* name : {"inside/old", "library/book", "outside/secret"}) {
      std::ofstream(top() + "/" + name) << "text";
    }
    rules.writable = {top() + "/inside", top() + "/not there"};
    rules.readable = {top() + "/library", "/usr", "/lib", "/lib64", "/etc"};
  }
  std::string top() const { return directory.path(); }

  TemporaryDirectory directory;
  confine::Rules rules;
};

// Everything that a message's way through a Maildir or a spool needs.
std::string write_inside(const std::string& top) {
  std::string found;
  found += open_to(top + "/inside/old", O_RDONLY) + " ";
  found += open_to(top + "/inside/tmp/1", O_WRONLY | O_CREAT | O_EXCL) + " ";
  found += open_to(top + "/inside/tmp/1", O_RDWR | O_TRUNC) + " ";
  found += result_of(::rename((top + "/inside/tmp/1").c_str(), (top + "/inside/new/1").c_str())) + " ";
  found += result_of(::link((top + "/inside/new/1").c_str(), (top + "/inside/tmp/2").c_str())) + " ";
  found += result_of(::unlink((top + "/inside/new/1").c_str())) + " ";
  found += result_of(::mkdir((top + "/inside/held").c_str(), 0700)) + " ";
  found += open_to(top + "/inside", O_TMPFILE | O_RDWR) + " ";
  found += open_to(top + "/inside/held", O_RDONLY | O_DIRECTORY) + " ";
  return found + result_of(::rmdir((top + "/inside/held").c_str()));
}

std::string write_outside(const std::string& top) {
  std::string found;
  found += open_to(top + "/outside/secret", O_RDONLY) + " ";
  found += open_to(top + "/outside/secret", O_WRONLY) + " ";
  found += open_to(top + "/outside/new", O_WRONLY | O_CREAT) + " ";
  found += open_to(top + "/outside", O_RDONLY | O_DIRECTORY) + " ";
  found += open_to(top + "/library/book", O_WRONLY) + " ";
  found += result_of(::unlink((top + "/outside/secret").c_str())) + " ";
  found += result_of(::unlink((top + "/library/book").c_str())) + " ";
  found += result_of(::mkdir((top + "/outside/directory").c_str(), 0700)) + " ";
  found += result_of(::symlink("/etc", (top + "/inside/link").c_str())) + " ";
  return found + open_to("/proc/self/environ", O_RDONLY);
}

int newest_abi() {
  const auto abi = confine::landlock_abi();
  return abi ? *abi : 0;
}

std::string connect_to(std::uint16_t port) {
  const Descriptor caller(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return result_of(::connect(caller.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
}

// A port of this machine that is listened on.
struct Listening {
  Listening() : socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(socket.get(), 64) == 0);
    REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port = ntohs(address.sin_port);
  }
  Descriptor socket;
  std::uint16_t port = 0;
};

}  // namespace

TEST_CASE("confined, a process can do its work inside and nothing outside, with every ABI of Landlock") {
  const int newest = newest_abi();
  WARN("this kernel has Landlock's ABI " << newest);
  for (int abi = 0; abi <= newest; ++abi) {
    CAPTURE(abi);
    const Place place;
    const bool is_confined = abi >= confine::k_abi_of_renames;
    CHECK(in_child([&] {
            const auto done = confine::shut_in(place.rules, abi);
            if (!done) return done.error().text;
            if (done->of_files != is_confined || done->why_not.empty() != is_confined) return std::string("not told");
            return write_inside(place.top());
          }) == "ok ok ok ok ok ok ok ok ok ok");
    CHECK(in_child([&] {
            (void)confine::shut_in(place.rules, abi);
            return write_outside(place.top());
          }) == (is_confined ? "EACCES EACCES EACCES EACCES EACCES EACCES EACCES EACCES EACCES EACCES"
                             : "ok ok ok ok ok ok ok ok ok ok"));
  }
}

TEST_CASE("confined, a process connects to known ports alone where the kernel can see to it") {
  const Listening known;
  const Listening unknown;
  confine::Rules rules;
  rules.connectable = {known.port};
  for (int abi = 0; abi <= newest_abi(); ++abi) {
    CAPTURE(abi);
    const std::string found = in_child([&] {
      const auto done = confine::shut_in(rules, abi);
      return connect_to(known.port) + " " + connect_to(unknown.port) + (done && done->of_connections ? " told" : "");
    });
    CHECK(found == (abi >= confine::k_abi_of_ports ? "ok EACCES told" : "ok ok"));
  }
}

TEST_CASE("confined, a process gets no new privileges, no core dump and no signal out") {
  const std::string found = in_child([] {
    const auto done = confine::shut_in({}, confine::k_newest_abi);
    return std::to_string(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)) + " " +
           std::to_string(::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)) + " " + result_of(::kill(::getppid(), 0)) +
           (done ? "" : done.error().text);
  });
  CHECK(found == (newest_abi() >= 6 ? "1 0 EPERM" : "1 0 ok"));
}

TEST_CASE("confined, a process starts the programs that it was left, and no others") {
  if (newest_abi() < confine::k_abi_of_renames) return;
  confine::Rules rules;
  rules.readable = {"/usr", "/lib", "/lib64", "/etc", "/dev/null"};
  rules.executable = {"/usr/bin/printf", confine::program_interpreter()};
  CHECK(confine::program_interpreter().starts_with("/lib"));
  CHECK(in_child([&] {
          (void)confine::shut_in(rules);
          const auto allowed = output_of({"/usr/bin/printf", "hello"}, 20s);
          const auto other = output_of({"/usr/bin/env", "true"}, 20s);
          return (allowed ? *allowed : allowed.error().text) + "; " + (other ? "started" : other.error().text);
        }) == "hello; /usr/bin/env: Permission denied");
}

TEST_CASE("a process with threads is not confined by halves") {
  const Place place;
  CHECK(in_child([&] {
          std::thread other([] { ::pause(); });
          other.detach();
          const auto done = confine::shut_in(place.rules);
          return (done ? "confined" : done.error().text) + " " + open_to(place.top() + "/outside/secret", O_RDONLY);
        }) == "there are other threads ok");
}

// --- users

TEST_CASE("a user is found by name") {
  CHECK(confine::find_user("root")->id == 0);
  CHECK(confine::find_user("no such user").error() ==
        Error{Errc::not_found, "\"no such user\" is no user of this system"});
}

TEST_CASE("root becomes another user for good") {
  if (::geteuid() != 0) return;
  const auto nobody = confine::find_user("nobody");
  REQUIRE(nobody);
  CHECK(in_child([&] {
          const auto done = confine::become(*nobody);
          if (!done) return done.error().text;
          const bool is_whole = ::getuid() == nobody->id && ::getegid() == nobody->group;
          return result_of(::setuid(0)) + " " + result_of(::seteuid(0)) + " " + result_of(::setgid(0)) + " " +
                 open_to("/etc/shadow", O_RDONLY) + " " + (is_whole ? "nobody " : "somebody ") +
                 std::to_string(::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
        }) == "EPERM EPERM EPERM EACCES nobody 0");
}

TEST_CASE("root acts as another user for a time") {
  if (::geteuid() != 0) return;
  const auto nobody = confine::find_user("nobody");
  REQUIRE(nobody);
  const TemporaryDirectory directory;
  REQUIRE(::chown(directory.path().c_str(), nobody->id, nobody->group) == 0);
  CHECK(in_child([&] {
          auto acting = confine::ActingAs::begin(*nobody);
          if (!acting) return acting.error().text;
          const std::string made = directory.path() + "/made";
          std::string found = open_to(made, O_WRONLY | O_CREAT) + " " + open_to("/etc/shadow", O_RDONLY) + " ";
          acting->end();
          struct stat status {};
          if (::stat(made.c_str(), &status) != 0) return std::string("nothing made");
          found += status.st_uid == nobody->id && status.st_gid == nobody->group ? "his " : "not his ";
          return found + open_to("/etc/shadow", O_RDONLY) + " " + std::to_string(::geteuid());
        }) == "ok EACCES his ok 0");
}

// --- commands

namespace {

confine::Command shell(const std::string& command) {
  return {"/bin/sh", "-c", command};
}

}  // namespace

TEST_CASE("the helper runs its commands, and no others, as if we had") {
  const auto helper = confine::Helper::start({shell("printf 'a\\0b\\n'"),
                                              shell("exit 3"),
                                              {"/no/such/program"},
                                              shell("sleep 100"),
                                              shell("head -c 65536 /dev/zero"),
                                              shell("yes")});
  REQUIRE(helper);
  CHECK(helper->output_of(shell("printf 'a\\0b\\n'"), 20s).value() == std::string("a\0b\n", 4));
  CHECK(helper->output_of(shell("exit 3"), 20s).error() == Error{Errc::io, "/bin/sh: ended with status 3"});
  CHECK(helper->output_of({"/no/such/program"}, 20s).error() ==
        Error{Errc::not_found, "/no/such/program: No such file or directory"});
  CHECK(helper->output_of(shell("sleep 100"), 50ms).error() == Error{Errc::timed_out, "/bin/sh: took too long"});
  CHECK(helper->output_of(shell("head -c 65536 /dev/zero"), 20s).value().size() == 65536);
  CHECK(helper->output_of(shell("yes"), 20s).error().code == Errc::too_long);
  CHECK(helper->output_of(shell("id"), 20s).error() ==
        Error{Errc::not_found, "the command is not one that was configured"});
}

TEST_CASE("the helper stays free when we are confined") {
  const Place place;
  const auto read = shell("cat " + place.top() + "/outside/secret; grep NoNewPrivs /proc/self/status");
  CHECK(in_child([&] {
          const auto helper = confine::Helper::start({read});
          if (!helper) return helper.error().text;
          (void)confine::shut_in(place.rules);
          const auto output = helper->output_of(read, 20s);
          return output ? *output : output.error().text;
        }) == "textNoNewPrivs:\t0\n");
}

TEST_CASE("the helper answers several at once, each with its own") {
  const TemporaryDirectory directory;
  const auto fifo = directory.path() + "/fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  // The first cannot end before the second has begun.
  const auto first = shell("cat " + fifo);
  const auto second = shell("echo word >" + fifo + "; echo done");
  const auto helper = confine::Helper::start({first, second});
  REQUIRE(helper);
  Result<std::string> heard;
  std::thread other([&] { heard = helper->output_of(first, 20s); });
  const auto said = helper->output_of(second, 20s);
  other.join();
  CHECK(heard.value() == "word\n");
  CHECK(said.value() == "done\n");
}

TEST_CASE("the helper holds no file of ours, and ends with us") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  {
    const auto helper = confine::Helper::start({shell("true")});
    REQUIRE(helper);
    ::close(ends[1]);
    char byte = 0;
    CHECK(::read(ends[0], &byte, 1) == 0);  // nobody else has the writing end
  }
  ::close(ends[0]);
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("without commands there is no helper") {
  const auto helper = confine::Helper::start({});
  REQUIRE(helper);
  CHECK(helper->output_of(shell("true"), 1s).error().code == Errc::not_found);
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
}

namespace {

std::string text_in(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A process of its own with a helper, which has begun `up` and bequeathed `down`: what becomes of it is up to the test.
template <class Work>
void with_helper_of_another(const std::vector<confine::Command>& commands, Work work) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    // The helper is reaped by whoever reaps orphans; the test looks at what it did.
    auto* helper = new Result<confine::Helper>(confine::Helper::start(commands));
    work(**helper);
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(pid, nullptr, 0);
}

// The writing end of a fifo stays with the helper until its last deed is done: reading to the end waits for that.
std::string read_to_end(const std::string& fifo) {
  const int file = ::open(fifo.c_str(), O_RDONLY | O_CLOEXEC);
  std::string all;
  std::array<char, 256> piece{};
  for (ssize_t count = 0; (count = ::read(file, piece.data(), piece.size())) > 0;) {
    all.append(piece.data(), static_cast<std::size_t>(count));
  }
  ::close(file);
  return all;
}

}  // namespace

TEST_CASE("what was bequeathed is done when its owner was killed, once") {
  const TemporaryDirectory directory;
  const auto fifo = directory.path() + "/fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const auto up = shell("echo up >>" + directory.path() + "/log");
  const auto down = shell("echo down >>" + directory.path() + "/log; echo over >" + fifo);
  with_helper_of_another({up, down}, [&](const confine::Helper& helper) {
    (void)helper.bequeath(down, 20s);
    (void)helper.begin(up, 20s, nullptr);
  });
  CHECK(read_to_end(fifo) == "over\n");
  CHECK(text_in(directory.path() + "/log") == "up\ndown\n");
}

TEST_CASE("an owner who is killed while the line comes up ends that first, and then takes it down") {
  const TemporaryDirectory directory;
  const auto fifo = directory.path() + "/fifo";
  const auto begun = directory.path() + "/begun";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  REQUIRE(::mkfifo(begun.c_str(), 0600) == 0);
  const std::string log = directory.path() + "/log";
  const auto up =
      shell("trap 'echo hung up >>" + log + "; exit 1' TERM; echo x >" + begun + "; while :; do sleep 0.01; done");
  const auto down = shell("echo down >>" + log + "; echo over >" + fifo);
  with_helper_of_another({up, down}, [&](const confine::Helper& helper) {
    (void)helper.bequeath(down, 20s);
    std::thread([&] { (void)helper.begin(up, 1000s, nullptr); }).detach();
    (void)read_to_end(begun);
  });
  CHECK(read_to_end(fifo) == "over\n");
  CHECK(text_in(log) == "hung up\ndown\n");
}

TEST_CASE("what was completed is not done again, and goes on without its owner") {
  const TemporaryDirectory directory;
  const auto fifo = directory.path() + "/fifo";
  const auto begun = directory.path() + "/begun";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  REQUIRE(::mkfifo(begun.c_str(), 0600) == 0);
  // The owner is killed between the two lines of `down`.
  const auto down =
      shell("echo down >>" + directory.path() + "/log; echo x >" + begun + "; sleep 0.2; echo over >" + fifo);
  with_helper_of_another({down}, [&](const confine::Helper& helper) {
    (void)helper.bequeath(down, 20s);
    std::thread([&] { (void)helper.complete(down, 20s); }).detach();
    (void)read_to_end(begun);
  });
  CHECK(read_to_end(fifo) == "over\n");
  {
    const auto helper = confine::Helper::start({down});
    REQUIRE(helper);
    REQUIRE(helper->bequeath(down, 20s));
    std::thread reader([&] {
      (void)read_to_end(begun);
      (void)read_to_end(fifo);
    });
    CHECK(helper->complete(down, 20s));
    reader.join();
  }
  CHECK(text_in(directory.path() + "/log") == "down\ndown\n");
}

TEST_CASE("a command that was begun can be interrupted, from another thread") {
  const auto up = shell("echo dialling; exec sleep 1000");
  const auto helper = confine::Helper::start({up});
  REQUIRE(helper);
  const confine::Interruption interruption;
  std::thread other([&] { interruption.interrupt(); });
  const auto begun = helper->begin(up, 1000s, &interruption);
  other.join();
  REQUIRE_FALSE(begun);
  CHECK(begun.error().code == Errc::interrupted);
}

// --- conversations

namespace {

std::string text_on(const Descriptor& line) {
  std::string all;
  std::array<char, 256> piece{};
  for (ssize_t count = 0; (count = ::read(line.get(), piece.data(), piece.size())) > 0;) {
    all.append(piece.data(), static_cast<std::size_t>(count));
  }
  return all;
}

void say(const Descriptor& line, const std::string& text) {
  REQUIRE(::write(line.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

// A command that runs until somebody ends it, and has `fifo` open for as long.
confine::Command endless(const std::string& fifo, const std::string& manner = "") {
  return shell("exec 3>" + fifo + "; " + manner + "echo ready; while :; do sleep 0.01; done");
}

std::string first_line_on(const Descriptor& line) {
  std::string all;
  for (char byte = 0; byte != '\n' && ::read(line.get(), &byte, 1) == 1;) all += byte;
  return all;
}

}  // namespace

TEST_CASE("a command is spoken to over its standard input and output, and ends with its input") {
  const auto talker = shell("echo ready; while read word; do echo \"heard $word\"; done; echo bye");
  const auto helper = confine::Helper::start({talker, shell("echo one")});
  REQUIRE(helper);
  const auto first = helper->converse(talker, 20s);
  const auto second = helper->converse(talker, 20s);
  REQUIRE(first);
  REQUIRE(second);
  CHECK(confine::Helper::begun(second->answer));
  CHECK(confine::Helper::begun(first->answer));
  say(first->line, "this\n");
  say(second->line, "that\n");
  ::shutdown(first->line.get(), SHUT_WR);
  ::shutdown(second->line.get(), SHUT_WR);
  CHECK(text_on(first->line) == "ready\nheard this\nbye\n");
  CHECK(text_on(second->line) == "ready\nheard that\nbye\n");
}

TEST_CASE("a command that ends at once has been spoken to, and one that cannot be started has not") {
  const TemporaryDirectory directory;
  const auto no_program = directory.path() + "/no-program";
  std::ofstream(no_program) << "x";
  const auto helper = confine::Helper::start({shell("exit 3"), {"/no/such/program", "-bs"}, {no_program}});
  REQUIRE(helper);
  const auto ended = helper->converse(shell("exit 3"), 20s);
  REQUIRE(ended);
  CHECK(confine::Helper::begun(ended->answer));
  CHECK(text_on(ended->line).empty());
  const auto missing = helper->converse({"/no/such/program", "-bs"}, 20s);
  REQUIRE(missing);
  CHECK(confine::Helper::begun(missing->answer).error() ==
        Error{Errc::not_found, "/no/such/program: No such file or directory"});
  CHECK(text_on(missing->line).empty());
  const auto denied = helper->converse({no_program}, 20s);
  REQUIRE(denied);
  CHECK(confine::Helper::begun(denied->answer).error() == Error{Errc::denied, no_program + ": Permission denied"});
  CHECK(helper->knows(shell("exit 3")));
  CHECK_FALSE(helper->knows({"/no/such/program"}));
  CHECK(helper->converse({"/no/such/program"}, 20s).error() ==
        Error{Errc::not_found, "the command is not one that was configured"});
}

TEST_CASE("a command that stays when its line is closed is ended, with what it has started") {
  const TemporaryDirectory directory;
  const auto fifo = directory.path() + "/fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  for (const std::string manner : {"", "trap '' TERM; ", "sleep 1000 & ", "exec <&- ; "}) {
    INFO(manner);
    const auto helper = confine::Helper::start({endless(fifo, manner)});
    REQUIRE(helper);
    auto conversation = helper->converse(endless(fifo, manner), 50ms);
    REQUIRE(conversation);
    const int reader = ::open(fifo.c_str(), O_RDONLY | O_CLOEXEC);
    CHECK(first_line_on(conversation->line) == "ready\n");
    conversation->line.reset();
    CHECK(text_on(Descriptor(reader)).empty());  // to the end: nobody has it open any more
  }
}

TEST_CASE("no conversation outlives its owner, who may be killed") {
  const TemporaryDirectory directory;
  const auto fifo = directory.path() + "/fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  const auto command = endless(fifo);
  {
    auto helper = confine::Helper::start({command});
    REQUIRE(helper);
    const auto conversation = helper->converse(command, 50ms);
    const int reader = ::open(fifo.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    REQUIRE(conversation);
    CHECK(first_line_on(conversation->line) == "ready\n");
    { const confine::Helper gone = std::move(*helper); }
    char byte = 0;
    CHECK(::read(reader, &byte, 1) == 0);  // at once: the helper does not go before it, though the line is open
    ::close(reader);
  }
  const int reader = ::open(fifo.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  with_helper_of_another({command}, [&](const confine::Helper& helper) {
    const auto conversation = helper.converse(command, 50ms);
    (void)first_line_on(conversation->line);
  });
  ::fcntl(reader, F_SETFL, 0);
  CHECK(text_on(Descriptor(reader)).empty());
}

TEST_CASE("the helper of root becomes the user before it runs anything") {
  if (::geteuid() != 0) return;
  const auto nobody = confine::find_user("nobody");
  REQUIRE(nobody);
  const auto who = shell("id -u; id -G");
  const auto helper = confine::Helper::start({who}, *nobody);
  REQUIRE(helper);
  CHECK(helper->output_of(who, 20s).value() ==
        std::to_string(nobody->id) + "\n" + std::to_string(nobody->group) + "\n");
  const auto conversation = helper->converse(who, 20s);
  REQUIRE(conversation);
  CHECK(text_on(conversation->line).starts_with(std::to_string(nobody->id) + "\n"));
  const auto unknown = confine::Helper::start({who}, confine::User{"no-such-user", 0, 0});
  REQUIRE(unknown);
  const auto refused = unknown->output_of(who, 20s);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::io);
}
