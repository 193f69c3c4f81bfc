#pragma once

#include <cstdint>

namespace odmr {

/// 64 bits that nobody can foretell, from the kernel; waits for the machine's first entropy. Throws std::system_error
/// where the kernel refuses. One system call: std::random_device asks the processor for its features each time, which
/// in a virtual machine costs as much as a dozen.
std::uint64_t random_bits();

}  // namespace odmr
