#pragma once

#include <string>

#include "base/log.hpp"

namespace odmr::cli {

/// What both programs take, before the subcommand or behind it.
struct CommonOptions {
  std::string config;
  int verbose = 0;
  bool quiet = false;
  bool json = false;
};

/// The configured level as -v and -q change it.
Level log_level(const CommonOptions& options, Level configured);

}  // namespace odmr::cli
