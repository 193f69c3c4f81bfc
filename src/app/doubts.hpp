#pragma once

#include <string>
#include <vector>

#include "app/settings.hpp"

namespace odmr::app {

/// What is no fault of a configuration and yet most likely not meant: lines to print, each with its table and key.
std::vector<std::string> doubts_about(const Settings& settings);

}  // namespace odmr::app
