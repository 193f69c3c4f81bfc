#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/outcome.hpp"

namespace odmr::watch {

/// How often is asked.
struct Timing {
  Duration interval = std::chrono::minutes(5);
  Duration jitter =
      std::chrono::seconds(30);              ///< added to an interval at random, at most; to other waits in proportion
  Duration longest = std::chrono::hours(1);  ///< wait for a provider that refuses
};

/// What a run has to do. No providers: it only sends.
struct Errand {
  std::vector<std::string> providers;
  bool sends = false;
  friend bool operator==(const Errand&, const Errand&) = default;
};

/// How a session with a provider ended, or the sending of mail, whose `provider` is empty.
struct Ending {
  std::string provider;
  Outcome outcome = Outcome::no_mail;
  std::optional<Duration> not_before;  ///< it was not tried; after so long it would be
  bool holds = false;                  ///< it holds lines for us until mail comes, and has just done so
  friend bool operator==(const Ending&, const Ending&) = default;
};

/// When each provider is asked next, and when mail is sent. Values in, values out: the time and the random numbers are
/// the caller's.
///
/// A provider is asked again after the interval. One that refuses us, or does not speak our protocol, waits twice as
/// long each time, up to Timing::longest. One that cannot be reached is tried again after half a minute, one, and two,
/// and then like any other. Mail that is submitted is sent at once, but asks no provider for mail.
///
/// A provider that holds a line until mail comes is asked again at once, since to be asked costs it nothing; and so
/// soon after a held line was lost, the first time. That alone is no occasion to send mail.
class Schedule {
 public:
  /// Everything is due at once. `sends`: there is a way out for mail.
  Schedule(const Timing& timing, const std::vector<std::string>& providers, bool sends, TimePoint now);

  /// What to do now; nothing when nothing is due. It is under way from then on, until ended().
  std::optional<Errand> take(TimePoint now);
  /// The run merely waits for mail now, whatever else it was begun for: the sending of mail has its next time.
  /// `random`: as below.
  void waits(TimePoint now, double random);
  /// While that waits: the queue is empty, so that nothing is sent this time. Now and then it is looked at all the
  /// same.
  void nothing_to_send(TimePoint now);
  /// The errand is over. What `endings` do not name went well. `random`: from 0 up to 1.
  void ended(const std::vector<Ending>& endings, TimePoint now, double random);

  /// Mail was submitted.
  void submitted(TimePoint now);
  /// Everything is wanted now; what is under way, once more.
  void all_now(TimePoint now);

  /// When take() will have something, unless ended() has to come first.
  TimePoint next() const;

  /// Mail that comes within this time is sent by one run …
  static constexpr Duration k_gather = std::chrono::milliseconds(300);
  /// … and a run for submitted mail begins no sooner than this after the last one began.
  static constexpr Duration k_between_submissions = std::chrono::seconds(5);

 private:
  struct Entry {
    std::string provider;  ///< empty: sending
    TimePoint next;
    unsigned refusals = 0;  ///< in a row
    unsigned failures = 0;  ///< to reach it, in a row
    bool is_under_way = false;
    bool is_wanted_again = false;
    bool is_to_be_held = false;  ///< its time has come only because it holds lines
    bool has_lost_line = false;  ///< that it held, and nothing went well since
  };
  bool is_held_back(const Entry& entry, TimePoint now) const;
  bool has_to_send(TimePoint now) const;
  void judge(Entry& entry, const Ending& ending, TimePoint now, double random);
  Duration wait_after(Entry& entry, const Ending& ending) const;
  Duration spread(Duration wait, double random) const;

  Timing timing_;
  std::vector<Entry> providers_;
  std::optional<Entry> sending_;
  std::optional<TimePoint> submission_;
  TimePoint last_sending_ = TimePoint::min();
  TimePoint may_send_again_ = TimePoint::min();
};

}  // namespace odmr::watch
