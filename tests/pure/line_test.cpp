// A dialled line: in which order its commands are asked for, whatever goes wrong.

#include "line/line.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace odmr;
using namespace std::chrono_literals;

namespace {

// Says what it was asked for; the calls named in `failing` fail.
class Recorder final : public line::Commands {
 public:
  Result<std::string> begin(const line::Command& command, Duration patience) override {
    return note("begin", command, patience);
  }
  void interrupt() override { said += "interrupt; "; }
  Result<std::string> complete(const line::Command& command, Duration patience) override {
    return note("complete", command, patience);
  }
  Result<void> bequeath(const line::Command& command, Duration patience) override {
    const auto done = note("bequeath", command, patience);
    return done ? Result<void>() : fail(done.error());
  }

  std::string said;
  std::set<std::string> failing;

 private:
  Result<std::string> note(const std::string& what, const line::Command& command, Duration patience) {
    said += what + " " + command.back() + " " +
            std::to_string(std::chrono::duration_cast<std::chrono::seconds>(patience).count()) + "; ";
    if (failing.contains(what)) return fail(Errc::io, command.front() + ": ended with status 5; it said: NO CARRIER");
    return "words";
  }
};

line::LineOptions both() {
  line::LineOptions options;
  options.up = {"pon", "isp"};
  options.down = {"/bin/sh", "-c", "poff isp"};
  options.up_timeout = 90s;
  options.down_timeout = 10s;
  return options;
}

}  // namespace

TEST_CASE("a line has somebody to take it down before it comes up") {
  Recorder commands;
  line::Line line(both(), commands, silent_log());
  CHECK(line.is_dialled());
  CHECK(line.bring_up());
  CHECK(line.take_down());
  CHECK(commands.said == "bequeath poff isp 10; begin isp 90; complete poff isp 10; ");
}

TEST_CASE("a line that did not come up is taken down all the same, and only once") {
  Recorder commands;
  commands.failing = {"begin"};
  line::Line line(both(), commands, silent_log());
  CHECK(line.bring_up().error() == Error{Errc::io, "[line] up: pon: ended with status 5; it said: NO CARRIER"});
  CHECK(line.take_down());
  CHECK(line.take_down());
  CHECK(commands.said == "bequeath poff isp 10; begin isp 90; complete poff isp 10; ");
}

TEST_CASE("a line that nobody could take down is not brought up") {
  Recorder commands;
  commands.failing = {"bequeath"};
  line::Line line(both(), commands, silent_log());
  CHECK(line.bring_up().error().text.starts_with("[line] down: "));
  CHECK(commands.said == "bequeath poff isp 10; ");
}

TEST_CASE("a line that cannot be taken down says so") {
  Recorder commands;
  commands.failing = {"complete"};
  line::Line line(both(), commands, silent_log());
  CHECK(line.bring_up());
  CHECK(line.take_down().error().text == "[line] down: /bin/sh: ended with status 5; it said: NO CARRIER");
}

TEST_CASE("half a line, and none") {
  Recorder commands;
  auto options = both();
  options.down.clear();
  line::Line up_alone(options, commands, silent_log());
  CHECK(up_alone.bring_up());
  CHECK(up_alone.take_down());
  CHECK(commands.said == "begin isp 90; ");

  commands.said.clear();
  options = both();
  options.up.clear();
  line::Line down_alone(options, commands, silent_log());
  CHECK(down_alone.take_down());
  CHECK(commands.said.empty());  // never begun
  CHECK(down_alone.bring_up());
  CHECK(down_alone.take_down());
  CHECK(commands.said == "bequeath poff isp 10; complete poff isp 10; ");

  line::Line none(line::LineOptions(), commands, silent_log());
  CHECK_FALSE(none.is_dialled());
}
