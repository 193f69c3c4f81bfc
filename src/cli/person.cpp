#include "cli/person.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "show/print.hpp"
#include "show/wrapped.hpp"

namespace odmr::cli {

namespace {

constexpr std::array k_signals{SIGINT, SIGTERM, SIGHUP};
constexpr std::size_t k_longest_answer = 4096;

volatile std::sig_atomic_t is_interrupted = 0;

void note_interrupt(int) {
  is_interrupted = 1;
}

// What is typed does not appear as long as this lives.
class Unseen {
 public:
  Unseen() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    auto unseen = before_;
    unseen.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    unseen.c_lflag |= ECHONL;
    is_terminal_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen) == 0;
  }
  ~Unseen() {
    if (is_terminal_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
  }
  Unseen(const Unseen&) = delete;
  Unseen& operator=(const Unseen&) = delete;

 private:
  termios before_{};
  bool is_terminal_ = false;
};

}  // namespace

Person::Person(std::FILE* out) : out_(out) {
  // Blocked but while we wait (ppoll): a signal between two looks would be missed.
  sigset_t ours;
  sigemptyset(&ours);
  for (const int number : k_signals) sigaddset(&ours, number);
  ::sigprocmask(SIG_BLOCK, &ours, &before_);
  struct sigaction action {};
  action.sa_handler = note_interrupt;
  for (std::size_t i = 0; i < k_signals.size(); ++i) ::sigaction(k_signals[i], &action, &old_actions_[i]);
}

Person::~Person() {
  for (std::size_t i = 0; i < k_signals.size(); ++i) ::sigaction(k_signals[i], &old_actions_[i], nullptr);
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

void Person::say(const std::string& line) {
  show::print_wrapped(out_, line);
}

Result<std::string> Person::ask(const std::string& question) {
  (void)std::fputs(question.c_str(), out_);
  (void)std::fflush(out_);
  auto line = read_line();
  // So that what is said next begins a line.
  if (!line) show::print_line(out_, "");
  if (!line) return fail(line.error());
  return line->text();
}

Result<Secret> Person::ask_unseen(const std::string& question) {
  const Unseen unseen;
  (void)std::fputs(question.c_str(), out_);
  (void)std::fflush(out_);
  auto line = read_line();
  if (!line) show::print_line(out_, "");
  return line;
}

// Octet by octet: what stands behind the line is the next question's.
Result<Secret> Person::read_line() {
  std::string line;
  line.reserve(k_longest_answer + 1);  // growing would leave copies of a secret behind
  sigset_t while_waiting = before_;
  for (const int number : k_signals) sigdelset(&while_waiting, number);
  for (;;) {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    const int ready = ::ppoll(&input, 1, nullptr, &while_waiting);
    if (is_interrupted != 0) {
      wipe(line);
      return fail(Errc::interrupted, "interrupted");
    }
    if (ready < 0 && errno == EINTR) continue;
    char c = 0;
    const auto got = ready < 0 ? -1 : ::read(STDIN_FILENO, &c, 1);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0 && line.empty()) return fail(Errc::closed, "there are no more answers");
    if (got <= 0 || c == '\n') break;
    if (line.size() == k_longest_answer) {
      wipe(line);
      return fail(Errc::too_long, "an answer is too long");
    }
    line.push_back(c);
  }
  Secret answer(line.ends_with('\r') ? std::string_view(line).substr(0, line.size() - 1) : std::string_view(line));
  wipe(line);
  return answer;
}

}  // namespace odmr::cli
