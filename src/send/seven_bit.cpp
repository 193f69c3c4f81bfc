#include "send/seven_bit.hpp"

#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/child.hpp"

namespace odmr::send {

namespace {

constexpr std::size_t k_piece = std::size_t{64} * 1024;
constexpr auto k_patience = std::chrono::minutes(2);

// Copies the whole message, and gives whether it has a byte beyond ASCII.
Result<bool> copy(spool::MessageReader& message, int file) {
  bool is_eight_bit = false;
  std::string piece(k_piece, '\0');
  message.rewind();
  for (;;) {
    const auto count = message.read(piece.data(), piece.size());
    if (!count) return fail(count.error());
    if (*count == 0) return is_eight_bit;
    const std::string_view bytes = std::string_view(piece).substr(0, *count);
    is_eight_bit = is_eight_bit || std::any_of(bytes.begin(), bytes.end(),
                                               [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
    if (const auto written = system_files().write(file, bytes); !written) return fail(written.error());
  }
}

}  // namespace

Result<std::optional<Substitute>> to_seven_bit(spool::MessageReader& message, const std::vector<std::string>& argv,
                                               const std::string& directory) {
  const auto original = system_files().nameless(directory);
  if (!original) return fail(original.error());
  const auto is_eight_bit = copy(message, original->get());
  if (!is_eight_bit) return fail(is_eight_bit.error());
  if (!*is_eight_bit) return std::nullopt;
  if (::lseek(original->get(), 0, SEEK_SET) != 0) return fail(system_error(errno, directory));

  auto converted = system_files().nameless(directory);
  if (!converted) return fail(converted.error());
  const auto status = filter(argv, original->get(), converted->get(), k_patience);
  if (!status) return fail(status.error());
  if (*status == EX_DATAERR) return std::nullopt;
  if (*status != 0) return fail(Errc::io, argv.front() + ": ended with status " + std::to_string(*status));
  const auto about = system_files().status(converted->get());
  if (!about) return fail(about.error());
  if (about->size == 0) return fail(Errc::malformed, argv.front() + ": made nothing of the message");
  return Substitute{std::move(*converted), about->size};
}

}  // namespace odmr::send
