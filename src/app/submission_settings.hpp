#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "confine/user.hpp"

namespace odmr::app {

/// Where a message from a local program is to go.
struct SubmissionPlace {
  /// Of `odmr submit`; empty: straight into the queue.
  std::string socket;
  /// Of the queue, where it is that. There it need not be yet.
  std::string state_dir;
  bool state_dir_is_default = false;
  std::optional<confine::User> run_as;  ///< whom root becomes; read for root alone
  /// Ours; empty where no configuration can be read: the server's then.
  std::string hostname;
  std::uint64_t max_size = 0;  ///< 0: the server knows
};

struct SubmissionPlaceError {
  int exit = 0;  ///< sysexits: 78 the configuration
  std::string text;
};

/// $ODMR_SUBMIT; else what the configuration says: the queue where its state directory is ours (root's: anybody's),
/// else [submit] listen; without a configuration that we may read, the socket where `odmr submit` is found by default.
///
/// Of the configuration only what is needed is read, and faulted: `odmr check` is there for the rest, and a slip in
/// some other table must not cost a cron job its mail.
tl::expected<SubmissionPlace, SubmissionPlaceError> find_submission_place(const std::string& named);

}  // namespace odmr::app
