#pragma once

#include <sys/signalfd.h>
#include <sys/types.h>

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "net/notify_socket.hpp"
#include "watch/arrivals.hpp"
#include "watch/report.hpp"
#include "watch/schedule.hpp"

namespace odmr::watch {

/// What is to be watched.
struct Plan {
  Timing timing;
  std::vector<std::string> providers;
  bool sends = false;
  std::string state_dir;
  std::string queue;               ///< in it, whose mail is sent at once; empty: none
  bool sends_queue_alone = false;  ///< there is nothing to send where that is empty
  Duration stop_grace = std::chrono::minutes(10);
};

/// What a Supervisor is for.
class Work {
 public:
  virtual ~Work() = default;
  /// In a process of its own: does it, and gives its exit status. Reports go to `line` (send_report).
  virtual int run(const Errand& errand, bool is_first, int line) = 0;
  /// A run came to an end that no run has by itself.
  virtual void died(const std::string& why) = 0;
  /// What to watch from now on; nothing where that cannot be told, which is said then, and nothing changes.
  virtual std::optional<Plan> reload() = 0;
};

/// What a run is told: to finish the message in hand, or to leave at once. Two signals, because a service manager may
/// send SIGTERM to it as well as to us, and that must not cut a message.
inline constexpr int k_finish = SIGTERM;
inline constexpr int k_leave = SIGINT;
/// That it need not wait for mail any longer. To a run in which some has just come it means nothing.
inline constexpr int k_enough = SIGUSR2;

/// How long a run is waited for.
struct SupervisorPatience {
  /// A run that has not said for so long that it lives hangs. Before its loop turns it may run a command for each
  /// password, each a minute long.
  Duration silence = std::chrono::minutes(30);
  /// Beyond the grace of stopping.
  Duration end = std::chrono::minutes(1);
};

/// Begins a run whenever one is due, each in a process of its own, so that what goes wrong in one (a crash, a leak, a
/// hang) ends with it. Itself it speaks to no peer and reads nothing that one has said but the reports of its runs, has
/// no thread, and waits in one place.
///
/// A run may merely wait for mail, on lines that providers hold; it says so, and is ended when anything is due.
///
/// SIGUSR1: everything now. SIGHUP: the configuration again; but where our terminal is gone, the end. SIGTERM, SIGINT:
/// the run that is under way is told to finish, by a second one to leave at once; the end comes with its end.
class Supervisor {
 public:
  Supervisor(Plan plan, Work& work, net::NotifySocket manager, Log& log, SupervisorPatience patience = {});
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  /// Until a signal asks for the end. Errors: io, of what has to be had at the start.
  Result<void> run();

 private:
  struct UnderWay {
    Errand errand;
    pid_t process = -1;
    Descriptor line;
    TimePoint last_sign;
    std::vector<Ending> endings;
    bool is_killed = false;
    bool is_waiting = false;      // for mail, and for nothing else
    Duration asleep{};            // the machine had been, when it began to
    bool has_had_enough = false;  // was told to make way
  };

  Result<void> prepare();
  void take_signals();
  void give_signals_back();
  void follow_queue();

  void begin_what_is_due();
  bool is_in_the_way() const;
  void make_way();
  Result<void> begin(const Errand& errand);
  [[noreturn]] void be_the_run(const Errand& errand, int line);
  void hear_reports();
  bool note(const Report& report);
  bool note_whether_waiting(bool waits);
  void reap();
  void over(int status);
  void say_how_it_died(int status);
  void say_it_died(const std::string& why);
  std::vector<Ending> endings_after(bool is_broken) const;

  void wait();
  void set_timer(TimePoint when);
  void on_signal(const signalfd_siginfo& signal);
  void reload();
  void stop(int signal);
  TimePoint end_of_patience() const;
  bool has_lost_its_terminal() const;
  void look_at_the_clock();
  void kill_run(const std::string& why);
  void tell(const std::string& state = {});
  std::string in_words(TimePoint now) const;

  Plan plan_;
  Work& work_;
  net::NotifySocket manager_;
  Log& log_;
  const SupervisorPatience patience_;
  Schedule schedule_;
  std::optional<Arrivals> arrivals_;
  Descriptor signals_;
  Descriptor timer_;
  struct Before {  // how signals were
    sigset_t mask{};
    struct sigaction hangup {};
  };
  std::optional<Before> before_;
  bool has_terminal_ = false;
  bool ignores_hangup_ = false;

  std::optional<UnderWay> run_;
  bool is_first_ = true;
  bool is_used_to_waiting_ = false;                        // the last run waited, too
  std::vector<std::pair<std::string, std::string>> last_;  // what became of each provider, in words
  std::optional<TimePoint> end_by_;                        // stopping, and the run has so long
  bool is_stopping_ = false;
  TimePoint next_watchdog_ = TimePoint::max();
};

/// A clock that counts the time a machine sleeps, too: after that a run is due at once.
TimePoint time_since_boot();

}  // namespace odmr::watch
