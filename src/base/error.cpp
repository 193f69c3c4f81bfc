#include "base/error.hpp"

#include <cerrno>
#include <system_error>

namespace odmr {

namespace {

Errc meaning(int number) {
  switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Errc::no_space;
    case EACCES:
    case EPERM:
    case EROFS:
      return Errc::denied;
    case ENOENT:
    case ENOTDIR:
      return Errc::not_found;
    case ECONNRESET:
    case EPIPE:
    case ENETDOWN:
    case ENETRESET:
    case ECONNABORTED:
      return Errc::lost;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
      return Errc::unreachable;
    case ETIMEDOUT:
      return Errc::timed_out;
    case EWOULDBLOCK:
    case EBUSY:
    case EEXIST:
      return Errc::busy;
    default:
      return Errc::io;
  }
}

}  // namespace

Error system_error(int errno_value, const std::string& place) {
  return Error{meaning(errno_value), place + ": " + std::generic_category().message(errno_value)};
}

}  // namespace odmr
