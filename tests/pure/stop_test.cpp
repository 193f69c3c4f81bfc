#include "base/stop.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <vector>

using namespace odmr;

TEST_CASE("The wish to stop goes forward only, and each listener hears each step once") {
  Stop stop;
  CHECK_FALSE(stop.requested());
  std::vector<Stop::Phase> first;
  std::vector<Stop::Phase> second;
  const Stop::Listener one(stop, [&](Stop::Phase phase) { first.push_back(phase); });
  const Stop::Listener two(stop, [&](Stop::Phase phase) { second.push_back(phase); });

  stop.advance(Stop::Phase::run);
  CHECK(first.empty());
  stop.advance(Stop::Phase::finish);
  CHECK(stop.requested());
  stop.advance(Stop::Phase::finish);
  stop.advance(Stop::Phase::leave);
  stop.advance(Stop::Phase::finish);

  CHECK(stop.phase() == Stop::Phase::leave);
  const std::vector<Stop::Phase> steps{Stop::Phase::finish, Stop::Phase::leave};
  CHECK(first == steps);
  CHECK(second == steps);
}

TEST_CASE("The second signal may come first, and then leaves at once") {
  Stop stop;
  std::vector<Stop::Phase> heard;
  const Stop::Listener listener(stop, [&](Stop::Phase phase) { heard.push_back(phase); });
  stop.advance(Stop::Phase::leave);
  CHECK(heard == std::vector<Stop::Phase>{Stop::Phase::leave});
}

TEST_CASE("A listener that is gone hears nothing more") {
  Stop stop;
  int gone = 0;
  int staying = 0;
  auto short_lived = std::make_unique<Stop::Listener>(stop, [&](Stop::Phase) { ++gone; });
  const Stop::Listener listener(stop, [&](Stop::Phase) { ++staying; });
  stop.advance(Stop::Phase::finish);
  short_lived.reset();
  stop.advance(Stop::Phase::leave);
  CHECK(gone == 1);
  CHECK(staying == 2);
}

TEST_CASE("A listener may see the phase it is told of, and begin to listen while it is told") {
  Stop stop;
  std::unique_ptr<Stop::Listener> late;
  int heard_late = 0;
  const Stop::Listener listener(stop, [&](Stop::Phase phase) {
    CHECK(stop.phase() == phase);
    if (!late) late = std::make_unique<Stop::Listener>(stop, [&](Stop::Phase) { ++heard_late; });
  });
  stop.advance(Stop::Phase::finish);
  CHECK(heard_late == 0);
  stop.advance(Stop::Phase::leave);
  CHECK(heard_late == 1);
}
