#include "confine/landlock.hpp"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace odmr::confine {

namespace {

// Of <linux/landlock.h>, whose version here may know less than the kernel.
struct Handled {
  std::uint64_t files = 0;
  std::uint64_t connections = 0;
  std::uint64_t scopes = 0;
};
struct PortRule {
  std::uint64_t allowed = 0;
  std::uint64_t port = 0;
};
constexpr int k_port_rule = 2;

constexpr std::uint64_t k_rights_of_abi_1 = (1U << 13) - 1;
constexpr std::uint64_t k_ioctl_of_devices = 1U << 15;
constexpr std::uint64_t k_bind = 1U << 0;
constexpr std::uint64_t k_connect = 1U << 1;
constexpr std::uint64_t k_scope_abstract_sockets = 1U << 0;
constexpr std::uint64_t k_scope_signals = 1U << 1;

constexpr std::uint64_t k_rights_of_files =
    right::execute | right::write_file | right::read_file | right::truncate | k_ioctl_of_devices;

std::uint64_t rights_known_to(int abi) {
  std::uint64_t rights = k_rights_of_abi_1;
  if (abi >= k_abi_of_renames) rights |= right::change_directory;
  if (abi >= 3) rights |= right::truncate;
  if (abi >= 5) rights |= k_ioctl_of_devices;
  return rights;
}

Handled handled_by(int abi) {
  Handled handled;
  handled.files = rights_known_to(abi);
  if (abi >= k_abi_of_ports) handled.connections = k_bind | k_connect;
  if (abi >= 6) handled.scopes = k_scope_abstract_sockets | k_scope_signals;
  return handled;
}

}  // namespace

Result<int> landlock_abi() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi < 0) return fail(system_error(errno, "Landlock"));
  return static_cast<int>(abi);
}

Result<Ruleset> Ruleset::begin(int abi) {
  const Handled handled = handled_by(abi);
  // An older kernel takes the longer structure, as long as what it does not know is zero.
  Descriptor rules(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0)));
  if (!rules.is_open()) return fail(system_error(errno, "Landlock"));
  return Ruleset(std::move(rules), abi);
}

Result<void> Ruleset::allow(const std::string& path, std::uint64_t rights) {
  const Descriptor place(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!place.is_open()) {
    if (errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ELOOP) return {};
    return fail(system_error(errno, path));
  }
  struct stat status {};
  if (::fstat(place.get(), &status) != 0) return fail(system_error(errno, path));
  landlock_path_beneath_attr rule{};
  rule.parent_fd = place.get();
  rule.allowed_access = rights & rights_known_to(abi_);
  if (!S_ISDIR(status.st_mode)) rule.allowed_access &= k_rights_of_files;
  if (rule.allowed_access == 0) return {};
  if (::syscall(SYS_landlock_add_rule, rules_.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    return fail(system_error(errno, path));
  }
  return {};
}

Result<void> Ruleset::allow_port(std::uint16_t port, std::uint64_t what) {
  if (abi_ < k_abi_of_ports) return {};
  const PortRule rule{what, port};
  if (::syscall(SYS_landlock_add_rule, rules_.get(), k_port_rule, &rule, 0) != 0) {
    return fail(system_error(errno, "port " + std::to_string(port)));
  }
  return {};
}

Result<void> Ruleset::allow_connections(std::uint16_t port) {
  return allow_port(port, k_connect);
}

// bind(2) to port 0.
Result<void> Ruleset::allow_any_port() {
  return allow_port(0, k_bind);
}

Result<void> Ruleset::enforce() const {
  if (::syscall(SYS_landlock_restrict_self, rules_.get(), 0) != 0) return fail(system_error(errno, "Landlock"));
  return {};
}

}  // namespace odmr::confine
