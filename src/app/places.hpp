#pragma once

#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "config/document.hpp"

namespace odmr::app {

// Where things are found, as far as every program needs to know it: kept apart from settings.hpp because `odmr
// sendmail` must not load what the rest of the configuration needs.

/// The configuration file to read: `named` (--config), $ODMR_CONFIG, $XDG_CONFIG_HOME/odmr/odmr.toml (~/.config),
/// /etc/odmr/odmr.toml. Of the last two the first that is there. Error: not_found, which names all places looked at.
Result<std::string> find_configuration(const std::string& named);

/// $XDG_CONFIG_HOME/odmr/odmr.toml (~/.config), there or not.
std::string own_configuration();

/// $STATE_DIRECTORY; /var/lib/odmr for root, for its owner, and where it is there for the user odmr; else
/// $XDG_STATE_HOME/odmr (~/.local/state/odmr).
std::string default_state_dir();
/// This host's name.
std::string default_hostname();

/// `hostname` of the configuration; a fault where it is no name that EHLO may give.
std::string read_hostname(const config::Table& root);

/// Where `odmr submit` listens and `odmr sendmail` looks, unless told otherwise.
inline constexpr const char* k_submit_socket = "/run/odmr/submit";
/// The configuration of the whole system, the last that is looked for.
inline constexpr const char* k_system_configuration = "/etc/odmr/odmr.toml";
/// The largest message that is taken from local programs, in bytes, unless [submit] max_size says otherwise.
inline constexpr std::uint64_t k_max_submission = std::uint64_t{64} * 1024 * 1024;

/// Makes the state directory where it is missing; its parents too when it is the default one: a new user has no
/// ~/.local/state yet. Errors: those of the file system.
Result<void> make_state_dir(const std::string& directory, bool is_default);

}  // namespace odmr::app
