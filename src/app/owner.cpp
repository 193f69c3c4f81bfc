#include "app/owner.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace odmr::app {

Result<std::optional<Owner>> other_owner_of(const std::string& directory) {
  if (geteuid() != 0) return std::nullopt;
  struct stat status {};
  if (stat(directory.c_str(), &status) != 0) {
    if (errno == ENOENT) return std::nullopt;
    return fail(system_error(errno, directory));
  }
  if (status.st_uid == 0) return std::nullopt;
  return Owner{status.st_uid, status.st_gid};
}

std::string user_text(uid_t user) {
  const passwd* entry = getpwuid(user);
  return entry == nullptr ? "user " + std::to_string(user) : std::string(entry->pw_name);
}

Cause cause_of_owner(uid_t user) {
  return user == 0 ? Cause::state_of_root : Cause::state_of_another_user;
}

Result<void> become_owner_of(const std::string& directory) {
  const auto owner = other_owner_of(directory);
  if (!owner) return fail(owner.error());
  if (!*owner) return {};
  const auto [user, group] = **owner;
  // In this order: who is no longer root may not change groups.
  if (setgroups(1, &group) != 0 || setresgid(group, group, group) != 0 || setresuid(user, user, user) != 0) {
    return fail(system_error(errno, "becoming the owner of " + directory));
  }
  return {};
}

}  // namespace odmr::app
