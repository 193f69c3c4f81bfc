#include "confine/user.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

namespace odmr::confine {

namespace {

// A change of user makes the process dumpable again where the system's suid_dumpable says so.
void stay_undumpable() {
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

bool is_wholly(const User& user) {
  std::array<uid_t, 3> users{};
  std::array<gid_t, 3> groups{};
  if (::getresuid(&users[0], &users[1], &users[2]) != 0) return false;
  if (::getresgid(&groups[0], &groups[1], &groups[2]) != 0) return false;
  return users == std::array<uid_t, 3>{user.id, user.id, user.id} &&
         groups == std::array<gid_t, 3>{user.group, user.group, user.group};
}

bool can_be_root_again() {
  return ::setuid(0) == 0 || ::seteuid(0) == 0 || ::setgroups(0, nullptr) == 0;
}

}  // namespace

Result<User> find_user(const std::string& name) {
  errno = 0;
  const passwd* found = ::getpwnam(name.c_str());
  if (found == nullptr) return fail(Errc::not_found, "\"" + name + "\" is no user of this system");
  return User{name, found->pw_uid, found->pw_gid};
}

Result<void> become(const User& user) {
  // In this order: who is no longer root may not change groups.
  if (::initgroups(user.name.c_str(), user.group) != 0 || ::setresgid(user.group, user.group, user.group) != 0 ||
      ::setresuid(user.id, user.id, user.id) != 0) {
    return fail(system_error(errno, "becoming " + user.name));
  }
  stay_undumpable();
  if (!is_wholly(user) || can_be_root_again()) return fail(Errc::denied, "becoming " + user.name + ": still root");
  return {};
}

Result<ActingAs> ActingAs::begin(const std::optional<User>& user) {
  ActingAs acting;
  if (!user) return acting;
  acting.group_ = ::getegid();
  const int count = ::getgroups(0, nullptr);
  acting.groups_.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  if (count < 0 || ::getgroups(count, acting.groups_.data()) != count) return fail(system_error(errno, "groups"));
  acting.is_acting_ = true;
  if (::initgroups(user->name.c_str(), user->group) != 0 || ::setegid(user->group) != 0 || ::seteuid(user->id) != 0) {
    return fail(system_error(errno, "acting as " + user->name));
  }
  stay_undumpable();
  return acting;
}

void ActingAs::end() {
  if (!std::exchange(is_acting_, false)) return;
  // Neither the one nor the other is nobody to go on as.
  if (::seteuid(0) != 0 || ::setegid(group_) != 0 || ::setgroups(groups_.size(), groups_.data()) != 0) std::abort();
  stay_undumpable();
}

ActingAs::ActingAs(ActingAs&& other) noexcept
    : is_acting_(std::exchange(other.is_acting_, false)), group_(other.group_), groups_(std::move(other.groups_)) {}

}  // namespace odmr::confine
