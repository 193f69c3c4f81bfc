#pragma once

#include <vector>

#include "net/task.hpp"

namespace odmr::net {

/// Runs the tasks side by side and comes back when all are over. What one of them throws comes out then.
Task<> together(std::vector<Task<>> tasks);

}  // namespace odmr::net
