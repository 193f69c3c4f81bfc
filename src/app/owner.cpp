#include "app/owner.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace odmr::app {

Result<void> become_owner_of(const std::string& directory) {
  if (geteuid() != 0) return {};
  struct stat status {};
  if (stat(directory.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return fail(system_error(errno, directory));
  }
  if (status.st_uid == 0) return {};
  // In this order: who is no longer root may not change groups.
  if (setgroups(1, &status.st_gid) != 0 || setresgid(status.st_gid, status.st_gid, status.st_gid) != 0 ||
      setresuid(status.st_uid, status.st_uid, status.st_uid) != 0) {
    return fail(system_error(errno, "becoming the owner of " + directory));
  }
  return {};
}

}  // namespace odmr::app
