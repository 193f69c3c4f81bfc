#pragma once

#include <string>

#include "base/error.hpp"
#include "config/document.hpp"

namespace odmr::app {

// Where things are found, as far as every program needs to know it: kept apart from settings.hpp because `odmr
// sendmail` must not load what the rest of the configuration needs.

/// The configuration file to read: `named` (--config), $ODMR_CONFIG, $XDG_CONFIG_HOME/odmr/odmr.toml (~/.config),
/// /etc/odmr/odmr.toml. Of the last two the first that is there. Error: not_found, which names all places looked at.
Result<std::string> find_configuration(const std::string& named);

/// $STATE_DIRECTORY, for root /var/lib/odmr, else $XDG_STATE_HOME/odmr (~/.local/state/odmr).
std::string default_state_dir();
/// This host's name.
std::string default_hostname();

/// `hostname` of the configuration; a fault where it is no name that EHLO may give.
std::string read_hostname(const config::Table& root);

/// Where `odmr submit` listens and `odmr sendmail` looks, unless told otherwise.
inline constexpr const char* k_submit_socket = "/run/odmr/submit";

}  // namespace odmr::app
