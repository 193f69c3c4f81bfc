#include "net/simulation.hpp"

#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <utility>

namespace odmr::net {

class Simulation::SimulatedAlarm final : public Alarm {
 public:
  SimulatedAlarm(Simulation& simulation, std::function<void()> ring)
      : simulation_(simulation), ring_(std::move(ring)), place_(simulation.alarms_.end()) {}
  ~SimulatedAlarm() override { clear(); }
  SimulatedAlarm(const SimulatedAlarm&) = delete;
  SimulatedAlarm& operator=(const SimulatedAlarm&) = delete;

  void set(TimePoint when) override {
    clear();
    place_ = simulation_.alarms_.emplace(when, this);
  }

  void clear() override {
    if (place_ != simulation_.alarms_.end()) simulation_.alarms_.erase(place_);
    place_ = simulation_.alarms_.end();
  }

  void ring() {
    clear();
    ring_();
  }

 private:
  Simulation& simulation_;
  std::function<void()> ring_;
  std::multimap<TimePoint, SimulatedAlarm*>::iterator place_;
};

Simulation::Simulation() : now_(TimePoint() + std::chrono::hours(24)) {}

Simulation::~Simulation() = default;

WallTime Simulation::wall() const {
  // 2026-01-31T10:00:00Z at the start, so that what is printed in tests stays the same.
  const WallTime start = std::chrono::sys_days(std::chrono::year(2026) / 1 / 31) + std::chrono::hours(10);
  return start + std::chrono::duration_cast<WallTime::duration>(now_ - (TimePoint() + std::chrono::hours(24)));
}

std::unique_ptr<Alarm> Simulation::alarm(std::function<void()> ring) {
  return std::make_unique<SimulatedAlarm>(*this, std::move(ring));
}

bool Simulation::ring_next() {
  if (alarms_.empty()) return false;
  const auto next = alarms_.begin();
  if (next->first > now_) now_ = next->first;
  next->second->ring();
  return true;
}

namespace {

Task<> note_the_end(Task<> conversation, std::shared_ptr<bool> ended) {
  co_await std::move(conversation);
  *ended = true;
}

void rethrow(const std::exception_ptr& problem) {
  if (problem) std::rethrow_exception(problem);
}

}  // namespace

bool Simulation::run(Task<> conversation) {
  auto ended = std::make_shared<bool>(false);
  asio::co_spawn(loop_, note_the_end(std::move(conversation), ended), rethrow);
  do settle();
  while (!*ended && ring_next());
  return *ended;
}

void Simulation::start(Task<> conversation) {
  asio::co_spawn(loop_, std::move(conversation), rethrow);
}

void Simulation::settle() {
  loop_.restart();
  while (loop_.poll() > 0) {
  }
}

}  // namespace odmr::net
