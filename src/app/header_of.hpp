#pragma once

#include <string>

#include "spool/message_file.hpp"

namespace odmr::app {

/// What becomes of a message whose bytes are not those that were stored.
enum class Damaged { is_refused, gives_what_there_is };

/// The header of a stored message, as much of it as a notice returns (64 KiB, whole lines). The reader is at the
/// message's first byte again. Errors: those of reading.
Result<std::string> header_of(spool::MessageReader& message, Damaged damaged);

}  // namespace odmr::app
