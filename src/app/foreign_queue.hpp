#pragma once

#include "app/settings.hpp"
#include "base/stop.hpp"
#include "net/task.hpp"
#include "net/worker.hpp"

namespace odmr::app {

/// Flushes somebody else's queue while the line is up ([outbound] command), and waits until that queue is empty, as far
/// as one is told how to see it, or until the limit. Errors: the command cannot be run or fails, timed_out when the
/// queue is not empty at the limit, interrupted by `stop`.
net::Task<Result<void>> flush_foreign_queue(const CommandSettings& settings, config::RunCommand run,
                                            net::Worker& worker, Clock& clock, Log& log, Stop& stop);

}  // namespace odmr::app
