#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace odmr::confine {

/// All that a process may still open once it has shut itself in. What is open already stays so.
struct Rules {
  std::vector<std::string> readable;       ///< files, and directories with all below
  std::vector<std::string> writable;       ///< directories: all below may be read, made, changed, moved and removed
  std::vector<std::string> removable;      ///< directories: files there may be removed
  std::vector<std::string> executable;     ///< files
  std::vector<std::uint16_t> connectable;  ///< ports of TCP
  bool binds_any_port = false;             ///< one that the system chooses, for an own address
};

/// How far the kernel went along.
struct Confinement {
  bool of_files = false;
  bool of_connections = false;
  std::string why_not;  ///< where files are not confined
};

/// The ABI of Landlock that the kernel has.
inline constexpr int k_newest_abi = -1;

/// Shuts this process in, for good, and whatever it will start: no new privileges, no core dump and no debugger, and
/// as far as the kernel can nothing but what `rules` name. With an `abi` of Landlock the process makes do with what a
/// kernel of that time has; 0 is one without.
///
/// Landlock binds one thread: call this before another is started. A kernel with ABI 1 alone confines no files, since
/// it lets nothing be renamed from one directory to another, and that is how mail files come to be.
/// Errors: busy, there are other threads; io, of the system calls. The process is not confined then.
Result<Confinement> shut_in(const Rules& rules, int abi = k_newest_abi);

/// The program that starts programs (ld.so), which has to be executable, too, for any of them. Empty without one.
std::string program_interpreter();

}  // namespace odmr::confine
