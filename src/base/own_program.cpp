#include "base/own_program.hpp"

#include <unistd.h>

#include <array>
#include <climits>

namespace odmr {

Result<std::string> own_program(const std::string& name) {
  std::array<char, PATH_MAX> self{};
  const auto length = ::readlink("/proc/self/exe", self.data(), self.size());
  if (length <= 0) return fail(Errc::not_found, name + ": /proc/self/exe cannot be read, so it cannot be looked for");
  const std::string path(self.data(), static_cast<std::size_t>(length));
  const std::string directory = path.substr(0, path.rfind('/'));
  const std::string beside = directory + "/" + name;
  const std::string installed = directory + "/../libexec/odmr/" + name;
  for (const auto& candidate : {beside, installed}) {
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return fail(Errc::not_found, name + " is not installed: neither " + beside + " nor " + installed + " is there");
}

}  // namespace odmr
