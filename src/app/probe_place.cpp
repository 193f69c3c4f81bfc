#include "app/probe_place.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "app/journal_place.hpp"
#include "app/owner.hpp"
#include "app/run_as.hpp"
#include "app/state_dir.hpp"

namespace odmr::app {

namespace {

constexpr std::uint64_t k_mebibyte = std::uint64_t{1024} * 1024;

bool may_write(const std::string& path) {
  return faccessat(AT_FDCWD, path.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
}

ProbeStep head_of(With part, const std::string& where) {
  ProbeStep head;
  head.part = part;
  head.where = where;
  return head;
}

// What stands in the way of using a place; none: `text` says what it is like.
struct Look {
  std::optional<Error> error;
  std::string text;
  bool is_there = true;
  mode_t mode = 0;
};

Look look_at_missing(const std::string& path, bool makes_parents) {
  Look look;
  look.is_there = false;
  look.text = "is not there yet: the first run makes it";
  const auto parent = std::filesystem::path(path).parent_path().string();
  if (makes_parents || may_write(parent)) return look;
  const Errc code = errno == ENOENT ? Errc::not_found : Errc::denied;
  look.error = Error{code, path + " is not there, and cannot be made: " + system_error(errno, parent).text};
  return look;
}

Look look_at(const std::string& path, bool makes_parents) {
  Look look;
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return look_at_missing(path, makes_parents);
    look.error = system_error(errno, path);
    return look;
  }
  look.mode = status.st_mode & 07777;
  look.text = fmt::format("of {}, mode {:04o}", user_text(status.st_uid), look.mode);
  if (!S_ISDIR(status.st_mode)) {
    look.error = Error{Errc::io, path + " is no directory"};
  } else if (!may_write(path)) {
    const bool is_ours = status.st_uid == geteuid();
    look.error =
        Error{Errc::denied, fmt::format("{} cannot be written by {}: it is {}", path, user_text(geteuid()), look.text),
              is_ours ? Cause::state_denied : cause_of_owner(status.st_uid)};
  }
  return look;
}

void tell_space(ProbePart& part, const std::string& path, std::uint64_t least, Outcome outcome) {
  const auto space = free_space(path);
  if (!space) return part.failed("space", space.error().text, outcome, Cause::state_unusable);
  const std::string text = std::to_string(*space / k_mebibyte) + " MiB free";
  if (*space < least) return part.failed("space", path + ": the disk is full", outcome, Cause::disk_full);
  if (*space < k_little_space)
    return part.warn("space", text, "make room on that file system (df -h) before it is full");
  part.ok("space", text);
}

// What a run as another user has left behind can be used by nobody else.
std::optional<std::string> file_of_another(const std::string& state_dir) {
  for (const char* name : {"lock", "journal.db", "queue", "bounces", "kept"}) {
    const std::string path = state_dir + "/" + name;
    struct stat status {};
    if (stat(path.c_str(), &status) == 0 && status.st_uid != geteuid() && geteuid() != 0)
      return path + " belongs to " + user_text(status.st_uid) + ", and this is " + user_text(geteuid());
  }
  return std::nullopt;
}

// False: nothing more can be said of the state directory.
bool tell_directory(const Settings& settings, ProbePart& part) {
  const auto& path = settings.state_dir;
  const auto other = other_owner_of(path);
  if (other && *other) {
    part.failed("directory",
                path + " belongs to " + user_text((*other)->user) + ", and this is root, who has no run_as to become",
                Outcome::state, Cause::state_of_another_user);
    return false;
  }
  const Look look = look_at(path, settings.state_dir_is_default);
  if (look.error) {
    part.failed("directory", look.error->text, Outcome::state, cause_of_state(*look.error));
    return false;
  }
  if (const auto strange = file_of_another(path)) {
    part.failed("directory", *strange, Outcome::state, Cause::state_of_another_user);
  } else if (is_open_to_others(look.mode)) {
    part.failed("directory", look.text + ": others may write there", Outcome::state, Cause::state_open_to_others);
  } else if ((look.mode & 02) != 0) {
    part.warn("directory", look.text + ": others may write there", "chmod 0700 " + path);
  } else if ((look.mode & 020) != 0) {
    part.warn("directory", look.text + ": the group may write there", "chmod 0700 " + path);
  } else {
    part.ok("directory", look.text);
  }
  return look.is_there;
}

void tell_journal(const std::string& state_dir, ProbePart& part) {
  const auto book = look_into_journal(state_dir);
  if (book) return part.ok("journal", *book ? "opens" : "there is none yet: the first run makes it");
  if (book.error().code == Errc::malformed) return part.warn("journal", book.error().text);
  part.failed("journal", book.error().text, Outcome::state, cause_of_state(book.error()));
}

}  // namespace

// "1: FLOCK  ADVISORY  WRITE 4711 fe:01:131074 0 EOF" (proc_locks(5)).
std::optional<long> holder_of_lock(const std::string& state_dir) {
  struct stat status {};
  if (stat((state_dir + "/lock").c_str(), &status) != 0) return std::nullopt;
  const std::string ours = fmt::format("{:02x}:{:02x}:{}", major(status.st_dev), minor(status.st_dev), status.st_ino);
  std::ifstream locks("/proc/locks");
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number;
    std::string kind;
    std::string manner;
    std::string access;
    std::string place;
    long process = 0;
    if (words >> number >> kind >> manner >> access >> process >> place && kind == "FLOCK" && place == ours)
      return std::max(process, 0L);
  }
  return std::nullopt;
}

Outcome probe_state(const Settings& settings, std::optional<long> holder, Clock& clock, const OnProbeStep& on_step) {
  ProbePart part(head_of(With::state, settings.state_dir), scene_of_state(settings),
                 {"directory", "space", "lock", "journal"}, clock, on_step);
  if (tell_directory(settings, part) && part.outcome() == Outcome::no_mail) {
    tell_space(part, settings.state_dir, k_least_space, Outcome::state);
    const std::string process = holder && *holder > 0 ? " (process " + std::to_string(*holder) + ")" : "";
    part.ok("lock", holder ? "a run is at work" + process + "; it is not disturbed" : "nobody has it");
    tell_journal(settings.state_dir, part);
  }
  part.end();
  return part.outcome();
}

Outcome probe_maildir(const std::string& directory, const std::string& table, Clock& clock,
                      const OnProbeStep& on_step) {
  ProbePart part(head_of(With::target, directory), Scene{With::target, table, 0}, {"directory", "space"}, clock,
                 on_step);
  // The reader's mode is his business: nothing is said of it.
  bool is_there = true;
  for (const char* below : {"", "/tmp", "/new", "/cur"}) {
    const Look look = look_at(directory + below, false);
    const bool is_top = *below == '\0';
    if (look.error) {
      part.failed("directory", look.error->text, Outcome::local_down, look.error->cause);
      break;
    }
    if (is_top) is_there = look.is_there;
    if (is_top) part.ok("directory", look.text);
    if (!is_there) break;
  }
  if (is_there && part.outcome() == Outcome::no_mail) tell_space(part, directory, 1, Outcome::local_down);
  part.end();
  return part.outcome();
}

}  // namespace odmr::app
