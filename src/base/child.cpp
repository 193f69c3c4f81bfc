#include "base/child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <initializer_list>
#include <utility>

#include "base/file.hpp"

namespace odmr {

namespace {

constexpr std::size_t k_longest_output = std::size_t{64} * 1024;
constexpr off_t k_longest_talk = off_t{1024} * 1024;
constexpr off_t k_last_words = 400;
constexpr auto k_to_end_by_itself = std::chrono::seconds(2);

class FileActions {
 public:
  // stdout first: with descriptor 0 closed at our start, the pipe itself may be 0. No `stdin_fd` (-1): nothing there.
  FileActions(int stdin_fd, int stdout_fd, bool takes_stderr) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_adddup2(&actions_, stdout_fd, STDOUT_FILENO);
    if (takes_stderr) posix_spawn_file_actions_adddup2(&actions_, STDOUT_FILENO, STDERR_FILENO);
    if (stdin_fd >= 0) {
      posix_spawn_file_actions_adddup2(&actions_, stdin_fd, STDIN_FILENO);
    } else {
      posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    // A descriptor that somebody forgot to mark close-on-exec stays ours.
    posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
  }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

// Signals as a fresh program expects them, and a process group, so that a shell's children die with it.
class Attributes {
 public:
  Attributes() {
    posix_spawnattr_init(&attributes_);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    for (const int signal : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&signals, signal);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  ~Attributes() { posix_spawnattr_destroy(&attributes_); }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

// Bytes that may be a secret: kept in one place, and wiped unless they are handed on.
class Output {
 public:
  Output() { bytes_.resize(k_longest_output + 1); }
  ~Output() { explicit_bzero(bytes_.data(), bytes_.size()); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  bool too_long() const { return used_ > k_longest_output; }
  std::string take() {
    bytes_.resize(used_);
    return std::move(bytes_);
  }
  // False at the end of the stream; true also when nothing is there yet.
  bool read_from(int pipe) {
    while (!too_long()) {
      const ssize_t got = ::read(pipe, bytes_.data() + used_, bytes_.size() - used_);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return errno == EAGAIN;
      if (got == 0) return false;
      used_ += static_cast<std::size_t>(got);
    }
    return true;
  }

 private:
  std::string bytes_;
  std::size_t used_ = 0;
};

// A started child. Destroyed before it was reaped, it is killed, with all its group.
class Child {
 public:
  Child(pid_t pid, std::string name) : pid_(pid), name_(std::move(name)) {}
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    reap();
  }
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), name_(std::move(other.name_)) {}
  Child& operator=(Child&&) = delete;

  pid_t pid() const { return pid_; }
  const std::string& name() const { return name_; }

  /// Its exit status. Error: io, it was killed.
  Result<int> reap() {
    int status = 0;
    pid_t reaped = -1;
    do {
      reaped = ::waitpid(pid_, &status, 0);
    } while (reaped < 0 && errno == EINTR);
    pid_ = -1;
    if (reaped < 0) return fail(system_error(errno, name_));
    if (WIFSIGNALED(status)) return fail(Errc::io, name_ + ": killed by signal " + std::to_string(WTERMSIG(status)));
    return WEXITSTATUS(status);
  }

 private:
  pid_t pid_;
  std::string name_;
};

Result<Child> start(const std::vector<std::string>& argv, int stdin_fd, int stdout_fd, bool takes_stderr = false) {
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const auto& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const FileActions actions(stdin_fd, stdout_fd, takes_stderr);
  const Attributes attributes;
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, arguments[0], actions.get(), attributes.get(), arguments.data(), environ);
  if (error != 0) return fail(system_error(error, argv[0]));
  return Child(pid, argv[0]);
}

// In milliseconds, rounded up; 0 when `deadline` has passed.
int until(TimePoint deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left.count(), 0, 60'000));
}

// The header of glibc 2.36 declares pidfd_open() for C only.
Result<Descriptor> watch(const Child& child) {
  Descriptor ended(static_cast<int>(::syscall(SYS_pidfd_open, child.pid(), 0)));
  if (!ended.is_open()) return fail(system_error(errno, child.name()));
  return ended;
}

tl::unexpected<Error> took_too_long(const Child& child) {
  return fail(Errc::timed_out, child.name() + ": took too long");
}

// `asker` is a socket or the write end of a pipe, or -1: once its other end is closed, nobody waits for the child. The
// same for `other`.
Result<void> wait_until_end(const Child& child, TimePoint deadline, int asker = -1, int other = -1) {
  const auto ended = watch(child);
  if (!ended) return fail(ended.error());
  std::array<pollfd, 3> watched{{{ended->get(), POLLIN, 0}, {asker, 0, 0}, {other, 0, 0}}};
  for (;;) {
    const int ready = ::poll(watched.data(), watched.size(), until(deadline));
    if (ready < 0 && errno != EINTR) return fail(system_error(errno, child.name()));
    if (ready > 0 && watched[0].revents != 0) return {};
    if (ready > 0) return fail(Errc::interrupted, child.name() + ": interrupted");
    if (std::chrono::steady_clock::now() >= deadline) return took_too_long(child);
  }
}

// SIGTERM first: what dials hangs up on that. What does not follow, ~Child() kills.
void end_in_good_order(const Child& child) {
  ::kill(-child.pid(), SIGTERM);
  static_cast<void>(wait_until_end(child, std::chrono::steady_clock::now() + k_to_end_by_itself));
}

// What a command says, where nobody reads along: a file in memory, of a size that nothing can exceed. Unlike a pipe it
// breaks for nobody who goes on writing in the background.
Result<Descriptor> open_talk(const std::string& name) {
  Descriptor talk(::memfd_create("odmr-talk", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const bool is_good = talk.is_open() && ::ftruncate(talk.get(), k_longest_talk) == 0 &&
                       ::fcntl(talk.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == 0;
  if (!is_good) return fail(system_error(errno, name));
  return talk;
}

std::string end_of(const Descriptor& talk) {
  const off_t end = ::lseek(talk.get(), 0, SEEK_CUR);
  const off_t begin = std::max<off_t>(end - k_last_words, 0);
  std::string words(static_cast<std::size_t>(std::max<off_t>(end - begin, 0)), '\0');
  const ssize_t got = ::pread(talk.get(), words.data(), words.size(), begin);
  words.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  const auto first = words.find_first_not_of(" \t\r\n");
  const auto last = words.find_last_not_of(" \t\r\n");
  return first == std::string::npos ? std::string() : words.substr(first, last - first + 1);
}

tl::unexpected<Error> with_last_words(Error error, const Descriptor& talk) {
  const auto words = end_of(talk);
  if (!words.empty()) error.text += "; it said: " + words;
  return fail(std::move(error));
}

// Reads until the child has ended: a grandchild that keeps the pipe open is not waited for, and a child that closes
// its stdout is. `asker` as wait_until_end() has it.
Result<void> read_until_end(const Child& child, int pipe, Output& output, TimePoint deadline, int asker) {
  const auto ended = watch(child);
  if (!ended) return fail(ended.error());
  std::array<pollfd, 3> watched{{{ended->get(), POLLIN, 0}, {pipe, POLLIN, 0}, {asker, 0, 0}}};
  for (;;) {
    const int ready = ::poll(watched.data(), watched.size(), until(deadline));
    if (ready < 0 && errno != EINTR) return fail(system_error(errno, child.name()));
    // Looked at before the pipe is read, so that what came before the end is not missed.
    const bool over = ready > 0 && watched[0].revents != 0;
    if (watched[1].fd >= 0 && !output.read_from(pipe)) watched[1].fd = -1;
    if (output.too_long()) {
      return fail(Errc::too_long, child.name() + ": wrote more than " + std::to_string(k_longest_output) + " bytes");
    }
    if (over) return {};
    if (ready > 0 && watched[2].revents != 0) return fail(Errc::interrupted, child.name() + ": interrupted");
    if (std::chrono::steady_clock::now() >= deadline) return took_too_long(child);
  }
}

}  // namespace

Result<std::string> output_of(const std::vector<std::string>& argv, Duration patience) {
  return output_for(-1, argv, patience);
}

Result<std::string> output_for(int asker, const std::vector<std::string>& argv, Duration patience) {
  if (argv.empty() || argv[0].empty()) return fail(Errc::not_found, "no command was given");
  const TimePoint deadline = std::chrono::steady_clock::now() + patience;

  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(system_error(errno, argv[0]));
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  if (::fcntl(reading.get(), F_SETFL, O_NONBLOCK) != 0) return fail(system_error(errno, argv[0]));

  auto child = start(argv, -1, writing.get());
  writing.reset();
  if (!child) return fail(child.error());

  Output output;
  if (const auto read = read_until_end(*child, reading.get(), output, deadline, asker); !read)
    return fail(read.error());
  const auto status = child->reap();
  if (!status) return fail(status.error());
  if (*status != 0) return fail(Errc::io, argv[0] + ": ended with status " + std::to_string(*status));
  return output.take();
}

Result<std::string> last_words_of(const std::vector<std::string>& argv, Duration patience, int asker) {
  if (argv.empty() || argv[0].empty()) return fail(Errc::not_found, "no command was given");
  const TimePoint deadline = std::chrono::steady_clock::now() + patience;
  const auto talk = open_talk(argv[0]);
  if (!talk) return fail(talk.error());
  auto child = start(argv, -1, talk->get(), true);
  if (!child) return fail(child.error());
  if (const auto ended = wait_until_end(*child, deadline, asker); !ended) {
    end_in_good_order(*child);
    return with_last_words(ended.error(), *talk);
  }
  const auto status = child->reap();
  if (!status) return with_last_words(status.error(), *talk);
  if (*status == 0) return end_of(*talk);
  return with_last_words(Error{Errc::io, argv[0] + ": ended with status " + std::to_string(*status)}, *talk);
}

Result<int> filter(const std::vector<std::string>& argv, int input, int output, Duration patience) {
  if (argv.empty() || argv[0].empty()) return fail(Errc::not_found, "no command was given");
  const TimePoint deadline = std::chrono::steady_clock::now() + patience;
  auto child = start(argv, input, output);
  if (!child) return fail(child.error());
  if (const auto ended = wait_until_end(*child, deadline); !ended) return fail(ended.error());
  return child->reap();
}

Result<int> converse(const std::vector<std::string>& argv, int line, int owner, Duration farewell,
                     const std::function<void()>& on_begun) {
  if (argv.empty() || argv[0].empty()) return fail(Errc::not_found, "no command was given");
  auto child = start(argv, line, line);
  if (!child) return fail(child.error());
  on_begun();
  const auto now = [] { return std::chrono::steady_clock::now(); };
  auto ended = wait_until_end(*child, TimePoint::max(), line, owner);
  if (!ended) ended = wait_until_end(*child, now() + farewell, owner);
  const bool is_for_nobody = !ended && ended.error().code == Errc::interrupted;
  if (is_for_nobody) ended = wait_until_end(*child, now() + std::min<Duration>(farewell, k_to_end_by_itself));
  if (ended) return child->reap();
  end_in_good_order(*child);
  return fail(Errc::io, child->name() + ": did not end by itself");
}

}  // namespace odmr
