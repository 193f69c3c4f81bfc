#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/setup.hpp"
#include "base/secret.hpp"
#include "confine/user.hpp"

namespace odmr::app {

/// Where `odmr setup` writes, and for whom.
struct SetupPlace {
  std::string configuration;
  bool may_replace = false;             ///< what is there, and its secret, is kept under another name
  std::optional<confine::User> reader;  ///< who runs odmr, where that is not who we are: his group may read
};

/// What was written: paths.
struct SetupWritten {
  std::string configuration;
  std::string secret;                ///< empty: there was one already
  std::vector<std::string> further;  ///< secrets of further providers
  std::vector<std::string> backups;  ///< what was there before
};

/// Why nothing was written.
struct SetupFailure {
  bool is_of_configuration = false;  ///< `odmr check` would refuse it; otherwise it is the file system's doing
  std::vector<std::string> reasons;  ///< a line each
};

/// The configuration that `odmr setup` writes unless told otherwise: where odmr looks first, for root of the whole
/// system unless root has one of his own.
std::string place_to_write(const std::string& named);

/// The secret's path beside the configuration.
std::string secret_beside(const std::string& configuration, const SetupAnswers& answers);

/// Why the secret cannot be written, in words: there is one already, which is replaced only where the configuration
/// that is replaced names it; another one may use it. No value where nothing is in the way.
std::optional<std::string> secret_in_the_way(const SetupAnswers& answers, const SetupPlace& place);

/// The same of the secrets of further providers.
std::optional<std::string> further_secret_in_the_way(const SetupAnswers& answers, const SetupPlace& place);

/// Writes configuration and secret (0640 with a reader, else 0600). Both are made whole beside their places first and
/// read as every command reads them; only what is found good takes its place, on disk, each file at once. Signals wait
/// meanwhile. After an error nothing has changed.
/// `further`: secrets of answers.further, each in its own file.
tl::expected<SetupWritten, SetupFailure> write_setup(const SetupAnswers& answers, const Secret& password,
                                                     const SetupPlace& place,
                                                     const std::vector<FurtherSecret>& further = {});

}  // namespace odmr::app
