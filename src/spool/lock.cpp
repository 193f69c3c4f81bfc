#include "spool/lock.hpp"

namespace odmr::spool {

Result<DirectoryLock> DirectoryLock::take(const std::string& directory, FileOps& files) {
  const auto dir = files.open_dir(directory);
  if (!dir) return fail(dir.error());
  const auto file = files.append(dir->get(), "lock", 0600);
  if (!file) return fail(file.error().code, directory + ": " + file.error().text);
  auto held = files.lock(file->get());
  if (!held && held.error().code == Errc::busy) {
    return fail(Errc::busy, directory + ": another process is working on it");
  }
  if (!held) return fail(held.error().code, directory + ": " + held.error().text);
  return DirectoryLock(std::move(*held));
}

}  // namespace odmr::spool
