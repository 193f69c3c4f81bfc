#pragma once

#include <functional>
#include <list>

#include "base/clock.hpp"

namespace odmr {

/// The wish to stop, as SIGTERM and SIGINT bring it. It comes in two steps: `finish` (end the transaction in hand,
/// begin nothing new) and `leave` (close at once: the grace is over, or a second signal came).
class Stop {
 public:
  enum class Phase { run, finish, leave };

  Phase phase() const { return phase_; }
  bool requested() const { return phase_ != Phase::run; }

  /// Goes on to `phase` and tells every listener; going back, or to where it is already, does nothing.
  void advance(Phase phase);

  /// Calls `heard` on each advance until it is destroyed.
  class Listener {
   public:
    Listener(Stop& stop, std::function<void(Phase)> heard);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

   private:
    friend class Stop;
    Stop& stop_;
    std::function<void(Phase)> heard_;
    std::list<Listener*>::iterator place_;
  };

 private:
  Phase phase_ = Phase::run;
  std::list<Listener*> listeners_;
};

}  // namespace odmr
