#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace odmr::confine {

/// Somebody whom root may become.
struct User {
  std::string name;
  uid_t id = 0;
  gid_t group = 0;
};

/// Error: not_found.
Result<User> find_user(const std::string& name);

/// Root becomes `user`, with his groups alone, for good; that there is no way back is tried. Errors: denied, io; the
/// process may then be neither the one nor the other, and has to end.
Result<void> become(const User& user);

/// Root acts as `user` as long as this lives: files that are made belong to him, and what he may not is denied.
/// Nothing happens without a user. For one thread.
class ActingAs {
 public:
  static Result<ActingAs> begin(const std::optional<User>& user);
  ~ActingAs() { end(); }
  /// Root is root again.
  void end();
  ActingAs(ActingAs&& other) noexcept;
  ActingAs& operator=(ActingAs&&) = delete;

 private:
  ActingAs() = default;
  bool is_acting_ = false;
  gid_t group_ = 0;
  std::vector<gid_t> groups_;
};

}  // namespace odmr::confine
