#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/settings.hpp"
#include "queue/queue.hpp"

namespace odmr::app {

/// What advice about a provider has to name.
struct ProviderPlace {
  std::uint16_t port = 0;  ///< of its first host; 0: not known
  std::string deliver_table = "[deliver]";
};

/// Where the outbound queue and the journal are: all that a list of them, and work on them by hand, needs of the
/// configuration.
struct QueuePlace {
  std::string state_dir;
  LogSettings log;
  bool can_send = false;                        ///< there is an [outbound] with `to`
  std::vector<std::string> providers;           ///< by name, in the order of the file
  std::map<std::string, ProviderPlace> places;  ///< by provider
  std::vector<std::string> faults;  ///< as configuration_faults() gives them, where somebody has asked for them
};

/// Of the configuration only that is read, and only where the state directory is at fault it is refused: a secret that
/// its reader may not see, or a slip in some other table, must not hide the mail that waits. Errors: lines to print.
tl::expected<QueuePlace, std::vector<std::string>> find_queue(const std::string& named);

/// What keeps each run from beginning, in lines to print; not what is said of secrets, which may be closed to who asks
/// and open to the run.
std::vector<std::string> configuration_faults(const std::string& named);

/// The queue there. Errors: as queue::Queue::in; not_found where there is none, and no [outbound] that would make one.
Result<queue::Queue> open_queue(const QueuePlace& place, Clock& clock, Log& log);

/// What is kept for the local target, which has the queue's form. No value where nothing ever was.
Result<std::optional<queue::Queue>> open_kept_queue(const QueuePlace& place, Clock& clock, Log& log);

/// Messages in a directory of the spool's form; 0 too where there is none, or nobody may look. Makes nothing.
std::uint64_t count_held_in(const std::string& directory);

}  // namespace odmr::app
