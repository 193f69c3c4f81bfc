#pragma once

#include <string>
#include <vector>

#include "cli/options.hpp"

namespace odmr::cli {

/// `odmr setup`. Empty: not given.
struct SetupOptions : CommonOptions {
  bool is_non_interactive = false;
  bool may_replace = false;
  bool probes_not = false;
  std::string fetchmailrc;
  std::string entry;
  std::string provider;
  std::string name;
  std::string tls;
  std::string ca_file;
  std::vector<std::string> pins;
  std::vector<std::string> domains;
  std::string user;
  std::string password_file;
  std::string deliver;
  std::string smart_host;
  bool smart_host_without_login = false;
  std::string interval;
  std::string hostname;
  std::string state_dir;
};

/// Asks, or takes the options' word; writes a configuration, probes, says what switches it on. Gives the exit status.
int setup_command(const SetupOptions& options);

}  // namespace odmr::cli
