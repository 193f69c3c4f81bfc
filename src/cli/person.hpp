#pragma once

#include <termios.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "app/setup_interview.hpp"

namespace odmr::cli {

/// Whoever sits at the terminal, or what stands in for him: questions go to `out`, answers are the lines of standard
/// input. While this lives, SIGINT, SIGTERM and SIGHUP end a question instead of the program; the terminal is as it was
/// afterwards.
class Person final : public app::Terminal {
 public:
  explicit Person(std::FILE* out);
  ~Person() override;
  Person(const Person&) = delete;
  Person& operator=(const Person&) = delete;

  void say(const std::string& line) override;
  Result<std::string> ask(const std::string& question) override;
  Result<Secret> ask_unseen(const std::string& question) override;

 private:
  Result<Secret> read_line();

  std::FILE* out_;
  sigset_t before_{};
  struct sigaction old_actions_[3]{};
};

}  // namespace odmr::cli
