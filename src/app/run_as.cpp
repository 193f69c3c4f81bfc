#include "app/run_as.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "app/owner.hpp"
#include "base/file.hpp"

namespace odmr::app {

namespace {

bool is_missing(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) != 0 && errno == ENOENT;
}

}  // namespace

std::optional<confine::User> read_run_as(const config::Table& root) {
  const auto name = root.text("run_as");
  if (!name) return std::nullopt;
  const auto user = confine::find_user(*name);
  if (!user) {
    root.fault("run_as", user.error().text);
    return std::nullopt;
  }
  if (user->id == 0) root.fault("run_as", "\"" + *name + "\" has all of root's rights; name another user");
  return *user;
}

std::optional<confine::User> to_become(const std::optional<confine::User>& run_as) {
  return ::geteuid() == 0 ? run_as : std::nullopt;
}

Result<void> give_directory(const std::string& directory, const confine::User& user) {
  const bool is_new = is_missing(directory);
  if (auto made = system_files().make_dir(directory, 0700); !made) return made;
  const auto opened = system_files().open_dir(directory);
  if (!opened) return fail(opened.error());
  // A directory that somebody else has put there meanwhile stays his.
  const auto status = system_files().status(opened->get());
  if (!status) return fail(status.error());
  if (status->owner == user.id) return {};
  if (!is_new || status->owner != 0) {
    return fail(Errc::denied, directory + " belongs to " + user_text(status->owner) + ", and run_as is " + user.name,
                cause_of_owner(status->owner));
  }
  if (::fchown(opened->get(), user.id, user.group) != 0) return fail(system_error(errno, "chown " + directory));
  return {};
}

Result<void> become_user_of(const std::string& directory, const std::optional<confine::User>& run_as) {
  const auto user = to_become(run_as);
  if (!user) return become_owner_of(directory);
  if (auto given = give_directory(directory, *user); !given) return given;
  return confine::become(*user);
}

}  // namespace odmr::app
