#pragma once

#include <string>
#include <vector>

#include "app/daemon_status.hpp"
#include "show/json.hpp"

namespace odmr::show {

// How it stands with odmrd, in words, as JSON and for Prometheus. What strangers said is escaped in all of them.

/// The lines that `odmrd status` prints. `utf8`: the chart may have block characters.
std::vector<std::string> in_words(const app::DaemonStatus& status, bool utf8);

/// How a call ended, on one line: "12 messages for 14 recipients (1.2 MiB), 1 refused", "453 4.0.0 you have no mail".
std::string in_words(const provider::Call& call);

/// A line of `odmrd status --json`.
ordered_json as_json(const app::CustomerStatus& status);
/// The last line: what is not of one customer.
ordered_json overall_json(const app::DaemonStatus& status);

/// In the text format of Prometheus. `version`: of the program.
std::string metrics(const app::DaemonStatus& status, const std::string& version);

}  // namespace odmr::show
