#include "base/random.hpp"

#include <sys/random.h>

#include <cerrno>
#include <system_error>

namespace odmr {

std::uint64_t random_bits() {
  std::uint64_t bits = 0;
  // So few bytes come whole or not at all (getrandom(2)).
  while (getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "getrandom");
  }
  return bits;
}

}  // namespace odmr
