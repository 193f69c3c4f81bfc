#include "watch/supervisor.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/ascii.hpp"
#include "base/random.hpp"

namespace odmr::watch {

namespace {

constexpr std::size_t k_longest_status = 400;
constexpr std::size_t k_most_endings = 1000;
// A line that was held all the while that the machine slept is most likely gone, and nobody has said so.
constexpr auto k_sleep = std::chrono::seconds(10);
constexpr auto k_look_for_sleep = std::chrono::minutes(1);

double random_share() {
  return static_cast<double>(random_bits() >> 11U) * 0x1p-53;
}

std::string local_time(WallTime time) {
  return fmt::format("{:%H:%M:%S}", fmt::localtime(std::chrono::system_clock::to_time_t(time)));
}

sigset_t all_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD}) sigaddset(&set, signal);
  return set;
}

// "SIGKILL"
std::string name_of(int signal) {
  const char* short_name = ::sigabbrev_np(signal);
  return short_name == nullptr ? "signal " + std::to_string(signal) : "SIG" + std::string(short_name);
}

bool is_broken(int status) {
  return WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == exit_status(Outcome::bug));
}

std::string microseconds(Duration duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

// Of a clock that stands still while the machine sleeps, as a run's own does.
TimePoint time_awake() {
  return std::chrono::steady_clock::now();
}

// How long the machine has slept since it was started.
Duration time_asleep() {
  return time_since_boot().time_since_epoch() - time_awake().time_since_epoch();
}

}  // namespace

TimePoint time_since_boot() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return TimePoint(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

Supervisor::Supervisor(Plan plan, Work& work, net::NotifySocket manager, Log& log, SupervisorPatience patience)
    : plan_(std::move(plan)),
      work_(work),
      manager_(std::move(manager)),
      log_(log),
      patience_(patience),
      schedule_(plan_.timing, plan_.providers, plan_.sends, time_since_boot()) {}

Supervisor::~Supervisor() {
  give_signals_back();
}

Result<void> Supervisor::run() {
  if (auto ready = prepare(); !ready) return ready;
  follow_queue();
  if (manager_.watchdog()) next_watchdog_ = time_since_boot();
  tell("READY");
  while (!is_stopping_ || run_) {
    begin_what_is_due();
    wait();
    look_at_the_clock();
  }
  return {};
}

// --- signals, and what else there is to wait for

Result<void> Supervisor::prepare() {
  take_signals();
  const sigset_t set = all_signals();
  signals_ = Descriptor(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  timer_ = Descriptor(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!signals_.is_open() || !timer_.is_open()) return fail(system_error(errno, "signals and timer"));
  const Descriptor terminal(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  has_terminal_ = terminal.is_open();
  return {};
}

// A blocked signal waits to be read, an ignored one is lost.
void Supervisor::take_signals() {
  before_.emplace(Before());
  const sigset_t set = all_signals();
  ::sigprocmask(SIG_BLOCK, &set, &before_->mask);
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  ::sigaction(SIGHUP, &standard, &before_->hangup);
  ::sigaction(SIGUSR1, &standard, nullptr);
  ::sigaction(SIGCHLD, &standard, nullptr);
  ignores_hangup_ = before_->hangup.sa_handler == SIG_IGN;
}

void Supervisor::give_signals_back() {
  if (!before_) return;
  ::sigaction(SIGHUP, &before_->hangup, nullptr);
  ::sigprocmask(SIG_SETMASK, &before_->mask, nullptr);
  before_.reset();
}

// Without it mail waits for the next run: a pity, and no reason not to work.
void Supervisor::follow_queue() {
  arrivals_.reset();
  if (plan_.queue.empty()) return;
  auto arrivals = Arrivals::in(plan_.state_dir, plan_.queue);
  if (arrivals)
    arrivals_.emplace(std::move(*arrivals));
  else
    log_.warn("submitted mail waits for the next run: the queue cannot be watched", {{"why", arrivals.error().text}});
}

void Supervisor::set_timer(TimePoint when) {
  itimerspec spec{};
  if (when != TimePoint::max()) {
    const auto since_boot = std::max<Duration>(when.time_since_epoch(), std::chrono::nanoseconds(1));
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_boot);
    spec.it_value.tv_sec = seconds.count();
    spec.it_value.tv_nsec = std::chrono::nanoseconds(since_boot - seconds).count();
  }
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Supervisor::wait() {
  TimePoint next = next_watchdog_;
  if (!is_in_the_way() && !is_stopping_) next = std::min(next, schedule_.next());
  if (run_ && !is_in_the_way()) next = std::min(next, time_since_boot() + k_look_for_sleep);
  if (run_ && !run_->is_killed) next = std::min(next, time_since_boot() + (end_of_patience() - time_awake()));
  set_timer(next);
  std::array<pollfd, 4> watched{{{signals_.get(), POLLIN, 0},
                                 {timer_.get(), POLLIN, 0},
                                 {arrivals_ ? arrivals_->descriptor() : -1, POLLIN, 0},
                                 {run_ && run_->line.is_open() ? run_->line.get() : -1, POLLIN, 0}}};
  if (::poll(watched.data(), watched.size(), -1) < 0) return;
  if (watched[3].revents != 0) hear_reports();
  if ((watched[3].revents & POLLHUP) != 0) run_->line.reset();
  if (watched[2].revents != 0 && arrivals_ && arrivals_->take()) schedule_.submitted(time_since_boot());
  if (watched[0].revents == 0) return;
  signalfd_siginfo signal{};
  while (::read(signals_.get(), &signal, sizeof signal) == static_cast<ssize_t>(sizeof signal)) on_signal(signal);
}

void Supervisor::on_signal(const signalfd_siginfo& signal) {
  switch (signal.ssi_signo) {
    case SIGCHLD:
      return reap();
    case SIGUSR1:
      log_.info("run wanted by SIGUSR1");
      return schedule_.all_now(time_since_boot());
    case SIGHUP:
      if (has_lost_its_terminal()) return stop(SIGHUP);
      return reload();
    default:
      return stop(static_cast<int>(signal.ssi_signo));
  }
}

// Closing a terminal ends what was started there, unless nohup says otherwise; who is told to reload is a service.
bool Supervisor::has_lost_its_terminal() const {
  if (!has_terminal_ || ignores_hangup_) return false;
  const Descriptor terminal(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
  return !terminal.is_open();
}

void Supervisor::reload() {
  if (is_stopping_) return;
  manager_.tell({{"RELOADING", "1"}, {"MONOTONIC_USEC", net::monotonic_microseconds()}});
  auto plan = work_.reload();
  if (plan) {
    plan_ = std::move(*plan);
    // A run that is under way goes on as it began; what comes of it says nothing about the new configuration.
    schedule_ = Schedule(plan_.timing, plan_.providers, plan_.sends, time_since_boot());
    last_.clear();
    follow_queue();
  }
  tell("READY");
}

void Supervisor::stop(int signal) {
  log_.info(run_ ? "stopping: the run under way is told" : "stopping", {{"signal", name_of(signal)}});
  const Duration patience = is_stopping_ ? patience_.end : plan_.stop_grace + patience_.end;
  if (run_) ::kill(run_->process, is_stopping_ ? k_leave : k_finish);
  is_stopping_ = true;
  end_by_ = time_awake() + patience;
  manager_.tell({{"STOPPING", "1"},
                 {"EXTEND_TIMEOUT_USEC", microseconds(patience + patience_.end)},
                 {"STATUS", run_ ? "stopping, once the run under way has ended" : "stopping"}});
}

// How long a run that says nothing is waited for.
TimePoint Supervisor::end_of_patience() const {
  const auto silent = run_->last_sign + patience_.silence;
  return end_by_ ? std::min(silent, *end_by_) : silent;
}

void Supervisor::look_at_the_clock() {
  const auto now = time_since_boot();
  if (manager_.watchdog() && now >= next_watchdog_) {
    manager_.tell({{"WATCHDOG", "1"}});
    next_watchdog_ = now + *manager_.watchdog() / 2;
  }
  if (!run_ || run_->is_killed) return;
  if (time_awake() < end_of_patience()) return;
  if (end_by_ && time_awake() >= *end_by_) return kill_run("the run did not end when it was told to, and was killed");
  kill_run(fmt::format("the run hung: nothing moved in it for {} min, and it was killed",
                       std::chrono::duration_cast<std::chrono::minutes>(patience_.silence).count()));
}

// --- a run

void Supervisor::begin_what_is_due() {
  if (is_stopping_ || is_in_the_way()) return;
  if (run_) return make_way();
  const auto now = time_since_boot();
  const auto errand = schedule_.take(now);
  if (!errand) return;
  const auto begun = begin(*errand);
  if (begun) return tell();
  log_.error("a run cannot be begun", {{"why", begun.error().text}});
  run_.emplace(UnderWay()).errand = *errand;
  schedule_.ended(endings_after(true), now, random_share());
  run_.reset();
  tell();
}

// A run that only waits for mail gives way to whatever is due.
bool Supervisor::is_in_the_way() const {
  return run_ && (!run_->is_waiting || run_->has_had_enough);
}

void Supervisor::make_way() {
  const auto now = time_since_boot();
  const bool has_slept = time_asleep() - run_->asleep > k_sleep;
  if (schedule_.next() > now && !has_slept) return;
  if (plan_.sends_queue_alone && arrivals_ && !arrivals_->has_mail()) schedule_.nothing_to_send(now);
  if (schedule_.next() > now && !has_slept) return;
  log_.debug("the run that waits for mail makes way");
  run_->has_had_enough = true;
  ::kill(run_->process, k_enough);
}

Result<void> Supervisor::begin(const Errand& errand) {
  auto line = make_report_line();
  if (!line) return fail(line.error());
  const pid_t process = ::fork();
  if (process < 0) return fail(system_error(errno, "fork"));
  if (process == 0) be_the_run(errand, line->of_run.get());
  ::setpgid(process, process);
  UnderWay& run = run_.emplace(UnderWay());
  run.errand = errand;
  run.process = process;
  run.line = std::move(line->ours);
  run.last_sign = time_awake();
  is_first_ = false;
  log_.debug("a run begins", {{"process", std::to_string(process)}});
  return {};
}

// Its own group: what a terminal sends to us comes to it once, through us. Nothing of ours stays open in it.
void Supervisor::be_the_run(const Errand& errand, int line) {
  ::setpgid(0, 0);
  if (line > STDERR_FILENO + 1) ::close_range(STDERR_FILENO + 1, static_cast<unsigned>(line) - 1, 0);
  ::close_range(static_cast<unsigned>(line) + 1, ~0U, 0);
  // These two are for us, also where they go to everything that belongs to a service.
  std::signal(SIGHUP, SIG_IGN);
  std::signal(SIGUSR1, SIG_IGN);
  // Nor does it wait for mail yet.
  std::signal(k_enough, SIG_IGN);
  // In the background of a terminal, it may write there.
  std::signal(SIGTTOU, SIG_IGN);
  ::sigprocmask(SIG_SETMASK, &before_->mask, nullptr);
  ::_exit(work_.run(errand, is_first_, line));
}

void Supervisor::hear_reports() {
  if (!run_ || !run_->line.is_open()) return;
  bool has_news = false;
  for (auto report = receive_report(run_->line.get()); report; report = receive_report(run_->line.get())) {
    run_->last_sign = time_awake();
    const bool is_news = report->ending ? note(*report) : note_whether_waiting(report->waits);
    has_news = has_news || is_news;
  }
  if (has_news) tell();
}

// A run has heard strangers: it may say what it likes, but only about what it was begun for, and not for ever.
bool Supervisor::note(const Report& report) {
  const auto& asked = run_->errand.providers;
  const auto& name = report.ending->provider;
  const bool is_known = name.empty() || std::find(asked.begin(), asked.end(), name) != asked.end();
  if (!is_known || run_->endings.size() >= k_most_endings) return false;
  run_->endings.push_back(*report.ending);
  const auto last = std::find_if(last_.begin(), last_.end(), [&](const auto& one) { return one.first == name; });
  if (last != last_.end())
    last->second = report.text;
  else
    last_.emplace_back(name, report.text);
  return true;
}

bool Supervisor::note_whether_waiting(bool waits) {
  if (waits == run_->is_waiting) return false;
  run_->is_waiting = waits;
  if (!waits) return true;
  run_->asleep = time_asleep();
  schedule_.waits(time_since_boot(), random_share());
  constexpr const char* what = "mail is waited for, with the line held";
  // Again and again, from then on: said once.
  if (std::exchange(is_used_to_waiting_, true))
    log_.debug(what);
  else
    log_.info(what);
  return true;
}

// Orphans come to us where we are the first process of a container.
void Supervisor::reap() {
  for (;;) {
    int status = 0;
    const pid_t process = ::waitpid(-1, &status, WNOHANG);
    if (process < 0 && errno == EINTR) continue;
    if (process <= 0) return;
    if (run_ && process == run_->process) over(status);
  }
}

void Supervisor::over(int status) {
  hear_reports();
  say_how_it_died(status);
  const auto endings = endings_after(is_broken(status));
  const bool is_held_again = std::any_of(endings.begin(), endings.end(), [](const Ending& one) { return one.holds; });
  is_used_to_waiting_ = is_used_to_waiting_ && is_held_again;
  run_.reset();
  const auto now = time_since_boot();
  schedule_.ended(endings, now, random_share());
  if (arrivals_ && arrivals_->follow()) schedule_.submitted(now);
  if (!is_stopping_) tell();
}

void Supervisor::say_how_it_died(int status) {
  if (!WIFSIGNALED(status)) return;
  if (run_->is_killed) return;
  say_it_died("the run was killed by " + name_of(WTERMSIG(status)));
}

void Supervisor::say_it_died(const std::string& why) {
  last_ = {{std::string(), why}};
  work_.died(why);
}

std::vector<Ending> Supervisor::endings_after(bool is_broken) const {
  auto endings = run_->endings;
  const auto judge = [&](const std::string& provider, Outcome otherwise) {
    const bool is_known =
        std::any_of(endings.begin(), endings.end(), [&](const Ending& one) { return one.provider == provider; });
    if (!is_known) endings.push_back({provider, otherwise, {}});
  };
  for (const auto& provider : run_->errand.providers) judge(provider, is_broken ? Outcome::bug : Outcome::config);
  // Nothing to send is no report, too.
  if (run_->errand.sends) judge({}, is_broken ? Outcome::bug : Outcome::no_mail);
  return endings;
}

void Supervisor::kill_run(const std::string& why) {
  log_.error(why, {{"process", std::to_string(run_->process)}});
  // Not its group: who starts commands for it sees its end, and may have a line to take down.
  ::kill(run_->process, SIGKILL);
  run_->is_killed = true;
  say_it_died(why);
}

// --- what the service manager hears

void Supervisor::tell(const std::string& state) {
  if (!manager_.is_open()) return;
  net::NotifySocket::Lines lines;
  if (!state.empty()) lines.emplace_back(state, "1");
  lines.emplace_back("STATUS", in_words(time_since_boot()));
  manager_.tell(lines);
}

std::string Supervisor::in_words(TimePoint now) const {
  std::string text;
  for (const auto& [provider, words] : last_) text += (text.empty() ? "" : "; ") + words;
  text = escape(text, k_longest_status);
  if (!text.empty()) text += "; ";
  if (run_) return text + (run_->is_waiting ? "waiting for mail, with the line held" : "a run is under way");
  const auto left = std::chrono::duration_cast<WallTime::duration>(schedule_.next() - now);
  return text + "next run at " + local_time(std::chrono::system_clock::now() + left);
}

}  // namespace odmr::watch
