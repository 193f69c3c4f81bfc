#include "app/state_dir.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "app/owner.hpp"
#include "app/run_as.hpp"
#include "spool/store.hpp"

namespace odmr::app {

namespace {

// What root makes in another's directory its owner could not work with.
Result<void> refuse_root(const std::string& state_dir) {
  const auto other = other_owner_of(state_dir);
  if (!other) return fail(other.error());
  if (!*other) return {};
  const std::string user = user_text((*other)->user);
  return fail(Errc::denied,
              state_dir + " belongs to " + user + "; name that user in run_as, or run this as that user: runuser -u " +
                  user + " -- odmr run",
              Cause::state_of_another_user);
}

// Who is denied something in another's directory wants to know whose it is.
Error whose(const std::string& state_dir, Error error) {
  struct stat status {};
  if (stat(state_dir.c_str(), &status) != 0 || status.st_uid == geteuid()) return error;
  error.text += "; " + state_dir + " belongs to " + user_text(status.st_uid) + ", and this is " + user_text(geteuid());
  error.cause = cause_of_owner(status.st_uid);
  return error;
}

// Whoever may replace files there could put anything in the place of the journal, or of a message. The group may be
// meant to.
Result<void> refuse_strangers(const std::string& state_dir, uid_t own) {
  struct stat status {};
  if (stat(state_dir.c_str(), &status) != 0) return fail(system_error(errno, state_dir));
  if (is_open_to_others(status.st_mode))
    return fail(Errc::denied, state_dir + ": others may write there", Cause::state_open_to_others);
  if (status.st_uid == own || status.st_uid == 0) return {};
  return fail(Errc::denied, state_dir + " belongs to " + user_text(status.st_uid) + ", and this is " + user_text(own),
              Cause::state_of_another_user);
}

// Whether bounces could be kept shows now, before there is one.
Result<spool::DirectoryLock> take(const std::string& state_dir) {
  auto taken = spool::DirectoryLock::take(state_dir);
  if (!taken) return taken;
  const auto store = spool::Store::in(state_dir + "/bounces");
  if (!store) return fail(store.error());
  const auto space = free_space(state_dir);
  if (!space) return fail(space.error());
  if (*space < k_least_space) return fail(Errc::no_space, state_dir + ": the disk is full");
  return taken;
}

}  // namespace

bool is_open_to_others(mode_t mode) {
  return (mode & S_IWOTH) != 0 && (mode & S_ISVTX) == 0;
}

Scene scene_of_state(const Settings& settings) {
  Scene scene;
  scene.with = With::state;
  scene.state_dir = settings.state_dir;
  // Root without run_as is not who is to run it where the directory is another's.
  const auto owner = other_owner_of(settings.state_dir);
  scene.user = user_text(owner && *owner ? (*owner)->user : geteuid());
  if (settings.run_as) scene.user = settings.run_as->name;
  return scene;
}

Result<spool::DirectoryLock> take_state_dir(const Settings& settings) {
  const auto user = to_become(settings.run_as);
  const auto ready = user ? give_directory(settings.state_dir, *user)
                          : make_state_dir(settings.state_dir, settings.state_dir_is_default);
  if (!ready) return fail(ready.error());
  if (!user) {
    if (const auto ours = refuse_root(settings.state_dir); !ours) return fail(ours.error());
  }
  if (const auto ours = refuse_strangers(settings.state_dir, user ? user->id : geteuid()); !ours)
    return fail(ours.error());
  const auto acting = confine::ActingAs::begin(user);
  if (!acting) return fail(acting.error());
  auto taken = take(settings.state_dir);
  if (taken || taken.error().code != Errc::denied) return taken;
  return fail(whose(settings.state_dir, taken.error()));
}

}  // namespace odmr::app
