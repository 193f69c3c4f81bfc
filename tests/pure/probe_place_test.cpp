#include "app/probe_place.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "net/simulation.hpp"
#include "spool/lock.hpp"
#include "temporary_directory.hpp"

using namespace odmr;
using app::ProbeStep;
using test::TemporaryDirectory;

namespace {

struct Probed {
  Outcome outcome = Outcome::no_mail;
  std::vector<ProbeStep> steps;

  const ProbeStep& step(const std::string& name) const {
    for (const auto& one : steps) {
      if (one.step == name) return one;
    }
    FAIL("no step " << name);
    throw 0;
  }
};

Probed probe_state(const std::string& directory, std::optional<long> holder = {}) {
  net::Simulation clock;
  Probed probed;
  app::Settings settings;
  settings.state_dir = directory;
  const app::OnProbeStep on_step = [&](const ProbeStep& step) { probed.steps.push_back(step); };
  probed.outcome = app::probe_state(settings, holder, clock, on_step);
  return probed;
}

Probed probe_maildir(const std::string& directory) {
  net::Simulation clock;
  Probed probed;
  const app::OnProbeStep on_step = [&](const ProbeStep& step) { probed.steps.push_back(step); };
  probed.outcome = app::probe_maildir(directory, "[deliver]", clock, on_step);
  return probed;
}

}  // namespace

TEST_CASE("A state directory in order is told of, and nothing is made in it", "[probe]") {
  const TemporaryDirectory folder;
  const auto probed = probe_state(folder.path());
  CHECK(probed.outcome == Outcome::no_mail);
  CHECK(probed.step("directory").text.find("mode 0700") != std::string::npos);
  CHECK(probed.step("space").text.find("MiB free") != std::string::npos);
  CHECK(probed.step("lock").text == "nobody has it");
  CHECK(probed.step("journal").text.starts_with("there is none yet"));
  CHECK(system_files().list(system_files().open_dir(folder.path())->get())->empty());
}

TEST_CASE("A state directory that is not there yet is no failure where it can be made, and is not made", "[probe]") {
  const TemporaryDirectory folder;
  const auto probed = probe_state(folder.path() + "/state");
  CHECK(probed.outcome == Outcome::no_mail);
  CHECK(probed.step("directory").text.find("the first run makes it") != std::string::npos);
  CHECK(access((folder.path() + "/state").c_str(), F_OK) != 0);
  const auto below = probe_state(folder.path() + "/none/state");
  CHECK(below.outcome == Outcome::state);
  CHECK_FALSE(below.step("directory").remedy.empty());
}

TEST_CASE("Who holds the lock is seen without taking it", "[probe]") {
  const TemporaryDirectory folder;
  CHECK_FALSE(app::holder_of_lock(folder.path()));
  {
    const auto lock = spool::DirectoryLock::take(folder.path());
    REQUIRE(lock);
    const auto holder = app::holder_of_lock(folder.path());
    REQUIRE(holder);
    CHECK(*holder == getpid());
    const auto probed = probe_state(folder.path(), holder);
    CHECK(probed.outcome == Outcome::no_mail);
    CHECK(probed.step("lock").text.find(std::to_string(getpid())) != std::string::npos);
  }
  CHECK_FALSE(app::holder_of_lock(folder.path()));
  CHECK(spool::DirectoryLock::take(folder.path()));
}

TEST_CASE("What is wrong with a state directory is a failure with its cause", "[probe]") {
  const TemporaryDirectory folder;
  const std::string file = folder.path() + "/file";
  std::ofstream(file) << "x";
  CHECK(probe_state(file).outcome == Outcome::state);

  chmod(folder.path().c_str(), 0777);
  const auto open_to_all = probe_state(folder.path());
  CHECK(open_to_all.outcome == Outcome::state);
  CHECK(open_to_all.step("directory").cause == Cause::state_open_to_others);
  chmod(folder.path().c_str(), 01777);
  CHECK(probe_state(folder.path()).outcome == Outcome::no_mail);
  CHECK(probe_state(folder.path()).step("directory").mark == ProbeStep::Mark::warn);
  chmod(folder.path().c_str(), 0770);
  const auto open_to_group = probe_state(folder.path());
  CHECK(open_to_group.outcome == Outcome::no_mail);
  CHECK(open_to_group.step("directory").mark == ProbeStep::Mark::warn);
  chmod(folder.path().c_str(), 0700);

  std::ofstream(folder.path() + "/journal.db") << "this is no database, and long enough to be looked at";
  CHECK(probe_state(folder.path()).step("journal").mark != ProbeStep::Mark::ok);
}

TEST_CASE("A state directory of another user is one for root too, and what follows is skipped once", "[probe]") {
  if (geteuid() != 0) return;  // only root can make one
  const TemporaryDirectory folder;
  REQUIRE(chown(folder.path().c_str(), 65534, 65534) == 0);
  const auto probed = probe_state(folder.path());
  CHECK(probed.outcome == Outcome::state);
  CHECK(probed.step("directory").cause == Cause::state_of_another_user);
  CHECK(probed.step("directory").remedy.find("run_as") != std::string::npos);
  CHECK(probed.steps.back().mark == ProbeStep::Mark::skipped);
  CHECK(probed.steps.back().step == "space, lock, journal");
  REQUIRE(chown(folder.path().c_str(), 0, 0) == 0);
}

TEST_CASE("A Maildir is looked at and not made", "[probe]") {
  const TemporaryDirectory folder;
  const std::string maildir = folder.path() + "/Maildir";
  const auto missing = probe_maildir(maildir);
  CHECK(missing.outcome == Outcome::no_mail);
  CHECK(access(maildir.c_str(), F_OK) != 0);
  CHECK(probe_maildir(folder.path() + "/none/Maildir").outcome == Outcome::local_down);
  REQUIRE(mkdir(maildir.c_str(), 0700) == 0);
  CHECK(probe_maildir(maildir).step("space").mark != ProbeStep::Mark::failed);
  std::ofstream(maildir + "/tmp") << "x";
  const auto broken = probe_maildir(maildir);
  CHECK(broken.outcome == Outcome::local_down);
  CHECK_FALSE(broken.steps.empty());
}
