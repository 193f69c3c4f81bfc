#include "base/stop.hpp"

#include <utility>
#include <vector>

namespace odmr {

Stop::Listener::Listener(Stop& stop, std::function<void(Phase)> heard)
    : stop_(stop), heard_(std::move(heard)), place_(stop.listeners_.insert(stop.listeners_.end(), this)) {}

Stop::Listener::~Listener() {
  stop_.listeners_.erase(place_);
}

void Stop::advance(Phase phase) {
  if (phase <= phase_) return;
  phase_ = phase;
  // A listener only marks and wakes; nobody is destroyed before the event loop runs again.
  for (Listener* listener : std::vector<Listener*>(listeners_.begin(), listeners_.end())) listener->heard_(phase);
}

}  // namespace odmr
