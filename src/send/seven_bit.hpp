#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.hpp"
#include "spool/message_file.hpp"

namespace odmr::send {

/// A message as it goes in place of another one: a file without a name, which is gone with its descriptor.
struct Substitute {
  Descriptor file;
  std::uint64_t size = 0;
};

/// The message as `argv` (message on stdin, converted on stdout) makes it fit for a host without 8BITMIME. No value
/// where it has to go as it is: it has no 8-bit byte, or the program ends with 65. Files are made in `directory`.
/// Blocks. Errors: those of the disk, of the message, and of the program; the message can still go as it is.
Result<std::optional<Substitute>> to_seven_bit(spool::MessageReader& message, const std::vector<std::string>& argv,
                                               const std::string& directory);

}  // namespace odmr::send
