#include "confine/helper.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

#include "base/child.hpp"
#include "base/secret.hpp"

namespace odmr::confine {

namespace {

// What is asked: with it travels the end of a pipe, for the answer; and for a conversation the command's end of its
// line.
struct Question {
  Helper::What what = Helper::What::output;
  std::uint64_t command = 0;
  Duration patience{};
};

// The answer is a byte, k_good or the Errc, and the output or the error's text.
constexpr unsigned char k_good = 255;
constexpr std::size_t k_longest_answer = std::size_t{128} * 1024;  // output_of() gives 64 KiB at most
// For conversations that are over for us: a little more than odmr::converse() takes to end a command.
constexpr int k_to_end_conversations = 6000;  // milliseconds

constexpr std::size_t k_most_passed = 2;

union Ancillary {
  cmsghdr header;
  std::array<char, CMSG_SPACE(k_most_passed * sizeof(int))> space;
};

// `command_line`: -1 where there is none.
bool send_question(int line, const Question& question, int answer, int command_line = -1) {
  const std::array<int, k_most_passed> files{answer, command_line};
  const std::size_t size = (command_line < 0 ? 1 : 2) * sizeof(int);
  iovec piece{const_cast<Question*>(&question), sizeof question};
  Ancillary ancillary{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = &ancillary;
  message.msg_controllen = CMSG_SPACE(size);
  cmsghdr* passed = CMSG_FIRSTHDR(&message);
  passed->cmsg_level = SOL_SOCKET;
  passed->cmsg_type = SCM_RIGHTS;
  passed->cmsg_len = CMSG_LEN(size);
  std::memcpy(CMSG_DATA(passed), files.data(), size);
  ssize_t sent = -1;
  do {
    sent = ::sendmsg(line, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(sizeof question);
}

struct Asked {
  Question question;
  Descriptor answer;
  Descriptor line;
};

// No value once nobody is there any more who could ask.
std::optional<Asked> receive_question(int line) {
  Asked asked;
  iovec piece{&asked.question, sizeof asked.question};
  Ancillary ancillary{};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = &ancillary;
  message.msg_controllen = sizeof ancillary.space;
  ssize_t got = -1;
  do {
    got = ::recvmsg(line, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  const cmsghdr* passed = got == static_cast<ssize_t>(sizeof asked.question) ? CMSG_FIRSTHDR(&message) : nullptr;
  if (passed == nullptr || passed->cmsg_type != SCM_RIGHTS) return std::nullopt;
  std::array<int, k_most_passed> files{-1, -1};
  std::memcpy(files.data(), CMSG_DATA(passed), std::min<std::size_t>(passed->cmsg_len - CMSG_LEN(0), sizeof files));
  asked.answer = Descriptor(files[0]);
  asked.line = Descriptor(files[1]);
  return asked;
}

// --- in the helper

Result<std::string> outcome_of(const Question& question, const Command& command, int to) {
  using What = Helper::What;
  if (question.what == What::output) return output_for(to, command, question.patience);
  return last_words_of(command, question.patience, question.what == What::begin ? to : -1);
}

// Who asked may have gone; then nobody wants it.
void write_answer(int to, unsigned char first, const std::string& text) {
  const char byte = static_cast<char>(first);
  if (!system_files().write(to, std::string_view(&byte, 1))) return;
  static_cast<void>(system_files().write(to, text));
}

void answer(const Question& question, const Command& command, int to) {
  auto output = outcome_of(question, command, to);
  if (!output) return write_answer(to, static_cast<unsigned char>(output.error().code), output.error().text);
  write_answer(to, k_good, *output);
  wipe(*output);
}

// Until the command has ended. `owner` as odmr::converse() has it.
void hold_conversation(const Command& command, Asked asked, int owner) {
  const auto on_begun = [&asked] {
    write_answer(asked.answer.get(), k_good, {});
    asked.answer.reset();
  };
  const auto ended = converse(command, asked.line.get(), owner, asked.question.patience, on_begun);
  if (ended || !asked.answer.is_open()) return;
  write_answer(asked.answer.get(), static_cast<unsigned char>(ended.error().code), ended.error().text);
}

// Our own output, and every file that was open when we were forked, locks among them, is the main process's alone.
void let_go_of_files(int line) {
  const Descriptor nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  ::dup2(nothing.get(), STDIN_FILENO);
  ::dup2(nothing.get(), STDOUT_FILENO);
  if (line > STDERR_FILENO + 1) ::close_range(STDERR_FILENO + 1, static_cast<unsigned>(line) - 1, 0);
  ::close_range(static_cast<unsigned>(line) + 1, ~0U, 0);
}

// Those who hold the conversations, a process for each, and see to it that the command ends.
class Holders {
 public:
  // What one of them has in hand as long as it is there.
  void expect_one() {
    if (in_hand_.is_open()) return;
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;  // nobody is waited for then
    watched_ = Descriptor(ends[0]);
    in_hand_ = Descriptor(ends[1]);
  }
  // In a process that is none of them.
  void forget() { in_hand_.reset(); }
  // Until they have gone. Not for ever: there are commands that only root could end.
  void wait() {
    if (!in_hand_.is_open()) return;
    in_hand_.reset();
    pollfd watched{watched_.get(), 0, 0};
    while (::poll(&watched, 1, k_to_end_conversations) < 0 && errno == EINTR) {
    }
  }

 private:
  Descriptor watched_;
  Descriptor in_hand_;
};

// The helper's own life: it starts what it is asked for, and knows what is to be done at the end.
class Service {
 public:
  // `line`: whose other end is that of who asks.
  Service(const std::vector<Command>& commands, int line) : commands_(commands), line_(line) {}

  void obey(Asked asked) {
    using What = Helper::What;
    const Question& question = asked.question;
    if (question.command >= commands_.size()) return;
    if (question.what == What::bequeath) {
      bequeathed_ = question;
      return acknowledge(asked.answer.get());
    }
    if (question.what == What::complete) {
      if (bequeathed_ && bequeathed_->command == question.command) bequeathed_.reset();
      let_begun_end();
    }
    if (question.what == What::converse) holders_.expect_one();
    const pid_t process = ::fork();
    if (process == 0) work_on(std::move(asked));
    if (question.what == What::begin) begun_ = process;
  }

  // Nobody is there any more who could ask.
  void end() {
    holders_.wait();
    if (!bequeathed_) return;
    let_begun_end();
    ::signal(SIGCHLD, SIG_DFL);
    static_cast<void>(last_words_of(commands_[bequeathed_->command], bequeathed_->patience));
  }

 private:
  // In a process of its own.
  [[noreturn]] void work_on(Asked asked) {
    ::signal(SIGCHLD, SIG_DFL);
    const Command& command = commands_[asked.question.command];
    if (asked.question.what == Helper::What::converse) {
      hold_conversation(command, std::move(asked), line_);
    } else {
      holders_.forget();
      answer(asked.question, command, asked.answer.get());
    }
    ::_exit(0);
  }
  // What was begun ends now, if it has not: nobody waits for it any more. A line that is still being brought up must
  // not come up behind the command that takes it down.
  void let_begun_end() {
    const pid_t begun = std::exchange(begun_, -1);
    while (begun > 0 && ::waitpid(begun, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  static void acknowledge(int to) {
    const char good = static_cast<char>(k_good);
    static_cast<void>(system_files().write(to, std::string_view(&good, 1)));
  }

  const std::vector<Command>& commands_;
  const int line_;
  Holders holders_;
  std::optional<Question> bequeathed_;
  pid_t begun_ = -1;
};

[[noreturn]] void serve(const std::vector<Command>& commands, int line, const std::optional<User>& user) {
  ::prctl(PR_SET_NAME, "odmr-commands");
  // Signals for the whole group are for the main process to follow; its end is ours.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD}) ::signal(signal, SIG_IGN);
  let_go_of_files(line);
  if (user && !become(*user)) ::_exit(1);
  Service service(commands, line);
  while (auto asked = receive_question(line)) service.obey(std::move(*asked));
  service.end();
  ::_exit(0);
}

// --- with us

tl::unexpected<Error> gone() {
  return fail(Errc::io, "the helper that runs commands is gone; it is there again after a restart");
}

Result<std::string> understand(std::string& answer) {
  if (answer.empty()) return gone();
  const auto first = static_cast<unsigned char>(answer.front());
  std::string text = answer.substr(1);
  wipe(answer);
  if (first == k_good) return text;
  return fail(static_cast<Errc>(first), std::move(text));
}

// What tells a program to stop comes while it waits with ppoll(), or it comes in between and would be missed.
class StopSignalsHeld {
 public:
  StopSignalsHeld() {
    sigset_t held;
    sigemptyset(&held);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&held, signal);
    ::pthread_sigmask(SIG_BLOCK, &held, &before_);
  }
  ~StopSignalsHeld() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  StopSignalsHeld(const StopSignalsHeld&) = delete;
  StopSignalsHeld& operator=(const StopSignalsHeld&) = delete;
  const sigset_t* before() const { return &before_; }

 private:
  sigset_t before_{};
};

// Until there is something to read. Error: interrupted, a signal has been caught.
Result<void> wait_for_answer(int pipe, const StopSignalsHeld& held) {
  pollfd watched{pipe, POLLIN, 0};
  if (::ppoll(&watched, 1, nullptr, held.before()) > 0) return {};
  if (errno == EINTR) return fail(Errc::interrupted, "interrupted");
  return fail(system_error(errno, "the helper that runs commands"));
}

// The same, also where reading would not wait. Error: interrupted, by `interruption`, which may be null.
Result<void> wait_for_answer(int pipe, const Interruption* interruption) {
  const int interrupting = interruption == nullptr ? -1 : interruption->descriptor();
  std::array<pollfd, 2> watched{{{pipe, POLLIN, 0}, {interrupting, POLLIN, 0}}};
  while (::poll(watched.data(), watched.size(), -1) < 0) {
    if (errno != EINTR) return fail(system_error(errno, "the helper that runs commands"));
  }
  if (watched[1].revents != 0) return fail(Errc::interrupted, "interrupted");
  return {};
}

template <class Until>
Result<std::string> read_answer(int pipe, const Until& until) {
  std::string bytes(k_longest_answer, '\0');
  std::size_t used = 0;
  while (used < bytes.size()) {
    if (const auto there = wait_for_answer(pipe, until); !there) return fail(there.error());
    const auto count = system_files().read(pipe, bytes.data() + used, bytes.size() - used);
    if (!count) return fail(count.error());
    if (*count == 0) break;
    used += *count;
  }
  bytes.resize(used);
  return understand(bytes);
}

}  // namespace

Helper::Helper(std::vector<Command> commands, Descriptor line, pid_t process)
    : commands_(std::move(commands)), line_(std::move(line)), process_(process) {}

Helper::Helper(Helper&& other) noexcept
    : commands_(std::move(other.commands_)),
      line_(std::move(other.line_)),
      process_(std::exchange(other.process_, -1)) {}

Helper::~Helper() {
  line_.reset();
  if (process_ <= 0) return;
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<Helper> Helper::start(std::vector<Command> commands, const std::optional<User>& user) {
  if (commands.empty()) return Helper({}, Descriptor(), -1);
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail(system_error(errno, "a helper for commands"));
  }
  Descriptor ours(ends[0]);
  const Descriptor theirs(ends[1]);
  const pid_t process = ::fork();
  if (process < 0) return fail(system_error(errno, "a helper for commands"));
  if (process == 0) serve(commands, theirs.get(), user);
  return Helper(std::move(commands), std::move(ours), process);
}

bool Helper::knows(const Command& command) const {
  return number_of(command).has_value();
}

Result<std::uint64_t> Helper::number_of(const Command& command) const {
  const auto found = std::find(commands_.begin(), commands_.end(), command);
  if (found == commands_.end()) return fail(Errc::not_found, "the command is not one that was configured");
  return static_cast<std::uint64_t>(found - commands_.begin());
}

Result<std::string> Helper::ask(What what, const Command& command, Duration patience,
                                const Interruption* interruption) const {
  const auto number = number_of(command);
  if (!number) return fail(number.error());
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(system_error(errno, command.front()));
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  const Question question{what, *number, patience};
  const bool is_asked = send_question(line_.get(), question, writing.get());
  if (!is_asked) return gone();
  writing.reset();
  if (what != What::output) return read_answer(reading.get(), interruption);
  const StopSignalsHeld held;
  return read_answer(reading.get(), held);
}

Result<std::string> Helper::output_of(const Command& command, Duration patience) const {
  return ask(What::output, command, patience, nullptr);
}

Result<std::string> Helper::begin(const Command& command, Duration patience, const Interruption* interruption) const {
  return ask(What::begin, command, patience, interruption);
}

Result<std::string> Helper::complete(const Command& command, Duration patience) const {
  return ask(What::complete, command, patience, nullptr);
}

Result<void> Helper::bequeath(const Command& command, Duration patience) const {
  const auto done = ask(What::bequeath, command, patience, nullptr);
  return done ? Result<void>() : fail(done.error());
}

Result<Helper::Conversation> Helper::converse(const Command& command, Duration farewell) const {
  const auto number = number_of(command);
  if (!number) return fail(number.error());
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail(system_error(errno, command.front()));
  }
  Conversation conversation{Descriptor(ends[0]), Descriptor()};
  const Descriptor theirs(ends[1]);
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(system_error(errno, command.front()));
  conversation.answer = Descriptor(ends[0]);
  const Descriptor writing(ends[1]);
  const bool is_asked = send_question(line_.get(), {What::converse, *number, farewell}, writing.get(), theirs.get());
  if (!is_asked) return gone();
  return conversation;
}

Result<void> Helper::begun(const Descriptor& answer) {
  const Interruption* const never = nullptr;
  const auto said = read_answer(answer.get(), never);
  return said ? Result<void>() : fail(said.error());
}

Interruption::Interruption() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Interruption::interrupt() const {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(event_.get(), &one, sizeof one));
}

}  // namespace odmr::confine
