#pragma once

#include <string>

#include "app/status.hpp"

namespace odmr::show {

/// How it stands, in the text format of Prometheus (version 0.0.4), for the textfile collector of its node_exporter.
/// `version`: of the program.
std::string metrics(const app::Status& status, const std::string& version);

}  // namespace odmr::show
