#include "confine/confinement.hpp"

#include <link.h>
#include <sys/prctl.h>

#include <cerrno>

#include "base/file.hpp"
#include "confine/landlock.hpp"

namespace odmr::confine {

namespace {

Result<void> give_up_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail(system_error(errno, "no_new_privs"));
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return fail(system_error(errno, "not dumpable"));
  return {};
}

// Another thread would go on as free as before. Where /proc is not mounted nobody can tell.
Result<void> check_threads() {
  const auto tasks = system_files().open_dir("/proc/self/task");
  const auto threads = tasks ? system_files().list(tasks->get()) : fail(tasks.error());
  if (threads && threads->size() > 1) return fail(Errc::busy, "there are other threads");
  return {};
}

Result<void> add(Ruleset& ruleset, const std::vector<std::string>& paths, std::uint64_t rights) {
  for (const auto& path : paths) {
    if (auto added = ruleset.allow(path, rights); !added) return added;
  }
  return {};
}

Result<void> enforce(const Rules& rules, int abi) {
  auto ruleset = Ruleset::begin(abi);
  if (!ruleset) return fail(ruleset.error());
  auto added = add(*ruleset, rules.readable, right::read);
  if (added) added = add(*ruleset, rules.writable, right::read | right::write);
  if (added) added = add(*ruleset, rules.removable, right::remove_file);
  if (added) added = add(*ruleset, rules.executable, right::execute | right::read_file);
  for (const auto port : rules.connectable) {
    if (added) added = ruleset->allow_connections(port);
  }
  if (added && rules.binds_any_port) added = ruleset->allow_any_port();
  return added ? ruleset->enforce() : added;
}

int find_interpreter(dl_phdr_info* program, std::size_t /*size*/, void* path) {
  for (int i = 0; i < program->dlpi_phnum; ++i) {
    const auto& header = program->dlpi_phdr[i];
    if (header.p_type != PT_INTERP) continue;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): an address is what the header holds
    *static_cast<std::string*>(path) = reinterpret_cast<const char*>(program->dlpi_addr + header.p_vaddr);
  }
  return 1;  // the program itself is the first, and its libraries do not matter
}

}  // namespace

Result<Confinement> shut_in(const Rules& rules, int abi) {
  if (auto given_up = give_up_privileges(); !given_up) return fail(given_up.error());
  if (auto alone = check_threads(); !alone) return fail(alone.error());
  Confinement confinement;
  const auto newest = abi == 0 ? fail(Errc::not_found, "Landlock: not asked for") : landlock_abi();
  if (!newest) {
    confinement.why_not = newest.error().text;
    return confinement;
  }
  if (abi < 0 || abi > *newest) abi = *newest;
  if (abi < k_abi_of_renames) {
    confinement.why_not = "Landlock: its first version cannot let files be moved";
    return confinement;
  }
  if (auto enforced = enforce(rules, abi); !enforced) return fail(enforced.error());
  confinement.of_files = true;
  confinement.of_connections = abi >= k_abi_of_ports;
  return confinement;
}

std::string program_interpreter() {
  std::string path;
  ::dl_iterate_phdr(find_interpreter, &path);
  return path;
}

}  // namespace odmr::confine
