#pragma once

#include <string>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/log.hpp"

namespace odmr::app {

/// Where bounce records become bounces.
struct BouncePlace {
  std::string records;   ///< a spool::Store: the reverse-path is the bounce's addressee, the recipients are those that
                         ///< failed, each with its "reply"; of the content only the header counts
  std::string queue;     ///< the outbound queue's
  std::string hostname;  ///< ours
};

/// Makes of each bounce record a bounce in the outbound queue, from the null reverse-path to the record's, and takes
/// the record away. For the holder of the directories' lock, before anything is sent; others may put records there
/// meanwhile. What crashes left in the directories is cleared by who opens them first (spool::Store::recover). Blocks.
///
/// Each goes out exactly once, wherever a crash falls: the queue id that the bounce will have is written down beside
/// the record before the bounce is put there. A record with such a note whose message is in the queue has only to go;
/// one whose message is not there was never queued, since nothing leaves the queue between a crash and this call.
///
/// A record from the null reverse-path, or from one that is no address, can be told to nobody (RFC 5321 6.1). It is
/// logged once, as an error, and set aside in corrupt/ there with the reason beside it, as a damaged one is: there it
/// stays to be looked at, and no later run speaks of it.
///
/// Errors: of the disk. What was done until then is done, and nothing may be sent before this has succeeded.
Result<void> queue_bounce_records(const BouncePlace& place, Clock& clock, Log& log, FileOps& files = system_files());

}  // namespace odmr::app
