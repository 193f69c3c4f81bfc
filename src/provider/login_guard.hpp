#pragma once

#include <list>
#include <map>
#include <string>

#include "base/clock.hpp"

namespace odmr::provider {

/// Remembers where logins fail, so that guessing passwords is not worth while. An address is kept out, never a
/// customer: else a stranger could. For one thread.
class LoginGuard {
 public:
  struct Options {
    std::size_t most_failures = 10;               ///< of one address, before it is kept out
    Duration lockout = std::chrono::minutes(15);  ///< from the last of them; they are forgotten after that, too
    std::size_t most_addresses = 10'000;          ///< that are remembered; the oldest go first
  };
  LoginGuard() = default;
  explicit LoginGuard(const Options& options) : options_(options) {}

  /// `address` as net::counted_as() has it; an empty one is never kept out.
  bool keeps_out(const std::string& address, TimePoint now) const;
  /// Gives whether it is kept out from now on.
  bool failed(const std::string& address, TimePoint now);
  void succeeded(const std::string& address);

 private:
  struct Entry {
    std::string address;
    std::size_t failures = 0;
    TimePoint last;
  };
  Options options_;
  std::list<Entry> entries_;  // the one that failed last in front
  std::map<std::string, std::list<Entry>::iterator> by_address_;
};

}  // namespace odmr::provider
