#pragma once

#include <optional>
#include <string>

#include "config/document.hpp"
#include "confine/user.hpp"

namespace odmr::app {

/// `run_as`: whom root becomes. Faults: nobody has that name; it is root.
std::optional<confine::User> read_run_as(const config::Table& root);

/// `run_as` where root has to become him, no value where this process stays who it is.
std::optional<confine::User> to_become(const std::optional<confine::User>& run_as);

/// Before root becomes `user`: the directory is his, made for him (0700) where it is missing. Errors: denied, it
/// belongs to somebody else; those of the file system.
Result<void> give_directory(const std::string& directory, const confine::User& user);

/// As root: becomes the user of `run_as` or, where there is no such key, the owner of the directory, for good. For a
/// program that only puts something there. Errors: those of give_directory() and confine::become().
Result<void> become_user_of(const std::string& directory, const std::optional<confine::User>& run_as);

}  // namespace odmr::app
