#pragma once

#include "base/stop.hpp"
#include "net/task.hpp"

namespace odmr::net {

/// Waits without holding up anybody else; ends early when `stop` is asked for.
Task<> delay(Clock& clock, Duration length, Stop& stop);

}  // namespace odmr::net
