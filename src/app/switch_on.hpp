#pragma once

#include <string>

#include "base/clock.hpp"

namespace odmr::app {

/// What there is to start odmr with.
struct Surroundings {
  bool is_root = false;
  bool has_systemd = false;       ///< it is what runs this system
  bool has_units = false;         ///< odmr.timer is installed
  bool has_user = false;          ///< the user odmr is there
  std::string program = "odmr";   ///< as cron finds it
  std::string own_configuration;  ///< that is read without being named
};
Surroundings look_around();

/// "isp" of /etc/odmr/isp.toml, which odmr@isp.timer reads; empty for other files.
std::string instance_of(const std::string& configuration);

/// What belongs to a configuration is named by it: letters, digits, - and _ alone (cron reads no file with another
/// name), and no two configurations have the same.
std::string name_for(const std::string& configuration);

/// The state directory for a new configuration: each but the one that is read without being named has its own, where
/// odmr@.service has it. Empty: the default one.
std::string state_directory_for(const Surroundings& around, const std::string& configuration);

/// The one command that makes odmr run every `interval` with that configuration.
std::string switch_on_command(const Surroundings& around, const std::string& configuration, Duration interval);

/// An interval as cron can have it: the longest that is not longer, "*/5 * * * *".
std::string cron_times(Duration interval);

/// A word as sh takes it.
std::string shell_word(const std::string& text);

}  // namespace odmr::app
