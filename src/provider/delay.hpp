#pragma once

#include "base/stop.hpp"
#include "net/task.hpp"

namespace odmr::provider {

/// Waits without holding up anybody else; ends early when `stop` is asked for.
net::Task<> delay(Clock& clock, Duration length, Stop& stop);

}  // namespace odmr::provider
