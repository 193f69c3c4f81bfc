#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "app/customer_files.hpp"
#include "cli/options.hpp"

namespace odmr::cli {

/// `odmrd customer`.
struct CustomerOptions {
  app::NewCustomer added;
  std::vector<std::string> names;
  std::string password_file;
  bool password_stdin = false;
  bool cram_md5 = false;
  bool scram = false;
};

/// The commands, below `odmrd customer`.
struct CustomerCommands {
  CLI::App* customer = nullptr;
  CLI::App* add = nullptr;
  CLI::App* remove = nullptr;
  CLI::App* password = nullptr;
};
CustomerCommands add_customer_commands(CLI::App& program, CustomerOptions& options);

/// Does what was asked for. Gives the exit status: those of app::CustomerFailure; 64 too where the password cannot be
/// had.
int customer_command(const CommonOptions& common, const CustomerOptions& options, const CustomerCommands& commands);

}  // namespace odmr::cli
