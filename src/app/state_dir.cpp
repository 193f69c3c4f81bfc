#include "app/state_dir.hpp"

#include "app/owner.hpp"
#include "spool/store.hpp"

namespace odmr::app {

namespace {

// What a bounce record may need (receive::BounceRecord), and more.
constexpr std::uint64_t k_least_space = 128 * 1024;

}  // namespace

// Whether bounces could be kept shows now, before there is one.
Result<spool::DirectoryLock> take_state_dir(const Settings& settings) {
  if (const auto made = make_state_dir(settings.state_dir, settings.state_dir_is_default); !made) {
    return fail(made.error());
  }
  // What root makes there its owner could not work with.
  const auto other = other_owner_of(settings.state_dir);
  if (!other) return fail(other.error());
  if (*other) {
    const std::string user = std::to_string((*other)->user);
    return fail(Errc::denied, settings.state_dir + " belongs to user " + user + "; run this as that user: sudo -u '#" +
                                  user + "' odmr run");
  }
  auto taken = spool::DirectoryLock::take(settings.state_dir);
  if (!taken) return taken;
  const auto store = spool::Store::in(settings.state_dir + "/bounces");
  if (!store) return fail(store.error());
  const auto space = free_space(settings.state_dir);
  if (!space) return fail(space.error());
  if (*space < k_least_space) return fail(Errc::no_space, settings.state_dir + ": the disk is full");
  return taken;
}

}  // namespace odmr::app
