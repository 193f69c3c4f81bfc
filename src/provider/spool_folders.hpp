#pragma once

#include <string>

#include "queue/attributes.hpp"
#include "spool/store.hpp"

namespace odmr::provider {

// Attributes of a held message are those of queue/attributes.hpp.
using queue::k_body;
using queue::k_smtputf8;
// Of a message that came to nothing.
inline constexpr const char* k_held_as = "held_as";  ///< the id it was held under
inline constexpr const char* k_reply = "reply";      ///< the customer's last word about this recipient

/// The parts of a spool directory, each a spool::Store.
enum class Folder {
  held,     ///< what waits for customers: the spool directory itself
  bounces,  ///< SPOOL/bounces: refused for good, and a notice is due to the sender
  failed,   ///< SPOOL/failed: the same, but nobody can be told (null reverse-path)
};
/// Errors: as Store::in.
Result<spool::Store> open_folder(const std::string& spool, Folder folder, FileOps& files = system_files());

}  // namespace odmr::provider
