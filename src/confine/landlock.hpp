#pragma once

#include <cstdint>
#include <string>

#include "base/file.hpp"

namespace odmr::confine {

/// The highest ABI of Landlock that this kernel has, landlock(7). Errors: of the system call, where there is none: it
/// is not built in (ENOSYS), not switched on (EOPNOTSUPP), or forbidden (EPERM, a filter of system calls).
Result<int> landlock_abi();

/// What may be done below a directory, or with a file. Bits, to be joined.
namespace right {
inline constexpr std::uint64_t execute = 1U << 0;
inline constexpr std::uint64_t write_file = 1U << 1;
inline constexpr std::uint64_t read_file = 1U << 2;
inline constexpr std::uint64_t read_directory = 1U << 3;
inline constexpr std::uint64_t remove_directory = 1U << 4;
inline constexpr std::uint64_t remove_file = 1U << 5;
inline constexpr std::uint64_t make_directory = 1U << 7;
inline constexpr std::uint64_t make_file = 1U << 8;
inline constexpr std::uint64_t change_directory = 1U << 13;  ///< rename and link from one directory to another
inline constexpr std::uint64_t truncate = 1U << 14;

inline constexpr std::uint64_t read = read_file | read_directory;
inline constexpr std::uint64_t write =
    write_file | truncate | make_file | make_directory | remove_file | remove_directory | change_directory;
}  // namespace right

/// A set of Landlock's rules in the making. It forbids all that an ABI can forbid; what is allowed is added.
class Ruleset {
 public:
  /// Errors: io, of the system calls.
  static Result<Ruleset> begin(int abi);

  /// Allows `rights` with the file, or the directory and all below it. What is not there stays as it is: closed.
  Result<void> allow(const std::string& path, std::uint64_t rights);
  /// Allows connections to this port of TCP. Nothing, where the ABI forbids none.
  Result<void> allow_connections(std::uint16_t port);
  /// Allows an own port that the system chooses, likewise: an own address cannot be bound without one.
  Result<void> allow_any_port();
  /// From now on for this thread, those it starts, and their children. Needs PR_SET_NO_NEW_PRIVS.
  Result<void> enforce() const;

 private:
  Result<void> allow_port(std::uint16_t port, std::uint64_t what);
  Ruleset(Descriptor rules, int abi) : rules_(std::move(rules)), abi_(abi) {}
  Descriptor rules_;
  int abi_;
};

/// The ABIs that brought what we build on.
inline constexpr int k_abi_of_renames = 2;
inline constexpr int k_abi_of_ports = 4;

}  // namespace odmr::confine
