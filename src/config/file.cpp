#include "config/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace odmr::config {

namespace {

// Into a buffer for `expected` bytes, and a larger one where there are more. Each is wiped: growing step by step would
// leave copies of a secret behind.
Result<Secret> read_all(int file, std::size_t expected, std::size_t most) {
  std::string bytes(std::min(expected, most) + 1, '\0');
  std::size_t used = 0;
  Result<std::size_t> got = 0;
  do {
    if (used == bytes.size()) {
      std::string larger(most + 1, '\0');
      bytes.copy(larger.data(), used);
      wipe(bytes);
      bytes = std::move(larger);
    }
    got = system_files().read(file, bytes.data() + used, bytes.size() - used);
    used += got ? *got : 0;
  } while (got && *got > 0 && used <= most);
  Secret secret(std::string_view(bytes).substr(0, used));
  wipe(bytes);
  if (!got) return fail(got.error());
  if (used > most) return fail(Errc::too_long, fmt::format("more than {} bytes", most));
  return secret;
}

}  // namespace

Result<Contents> read_file(const std::string& path, std::size_t most) {
  // Opened so, a FIFO that nobody writes into does not hold us; read as usual, it may still be a shell's <(…).
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!file.is_open()) return fail(system_error(errno, "cannot be read"));
  if (::fcntl(file.get(), F_SETFL, 0) != 0) return fail(system_error(errno, "cannot be read"));
  const auto status = system_files().status(file.get());
  if (!status) return fail(status.error());
  if (status->kind == FileKind::directory) return fail(Errc::denied, "cannot be read: it is a directory");
  // A FIFO, or a file of /proc, has no size beforehand.
  const auto expected = status->size == 0 ? most : static_cast<std::size_t>(status->size);
  auto bytes = read_all(file.get(), expected, most);
  if (!bytes) return fail(bytes.error().code, "cannot be read: " + bytes.error().text);
  return Contents{std::move(*bytes), *status};
}

std::string secret_objection(const FileStatus& status, const std::string& path) {
  if ((status.mode & 007) != 0) return "others have rights to it; chmod o-rwx " + path;
  if ((status.mode & 020) != 0) return "its group may write it; chmod g-w " + path;
  if (status.owner != 0 && status.owner != ::geteuid()) {
    return fmt::format("it belongs to user {}, neither root nor us; chown {} {}", status.owner, ::geteuid(), path);
  }
  return {};
}

}  // namespace odmr::config
