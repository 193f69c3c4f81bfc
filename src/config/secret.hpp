#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/child.hpp"
#include "base/secret.hpp"
#include "config/document.hpp"

namespace odmr::config {

/// Where a secret is to be had. Copies share an inline one.
struct SecretSource {
  struct File {
    std::string path;
  };
  struct Command {
    std::vector<std::string> argv;
  };
  struct Credential {  ///< systemd's: $CREDENTIALS_DIRECTORY/name
    std::string name;
  };
  using Inline = std::shared_ptr<const Secret>;

  std::variant<File, Command, Credential, Inline> from;
};

/// Reads `password_file`, `password_command`, `password_credential` and `password`, of which one may be there; with a
/// `prefix` before their names. Touches nothing but the configuration. Faults: two of them; an inline one in a
/// configuration file that others may read.
std::optional<SecretSource> read_secret_source(const Table& table, const std::string& prefix = {});

/// A fault where the key, which holds a secret, stands in a file that others may read.
void refuse_readable(const Table& table, const std::string& key);

/// How a command comes to its output: as output_of() has it.
using RunCommand = std::function<Result<std::string>(const std::vector<std::string>& argv, Duration patience)>;

/// The secret: the first line, without its line end, of what the source gives. `patience` is for a command.
/// Errors: denied for a file that others have a right to; malformed for an empty secret or one that holds a NUL; those
/// of reading a file and of output_of().
Result<Secret> load(const SecretSource& source, Duration patience = std::chrono::minutes(1),
                    const RunCommand& run = output_of);

/// What can be said about the source without running a command: load() for all others, its value thrown away.
Result<void> verify(const SecretSource& source);

/// Whether a file may hold a secret (a TLS key, say). Errors: as for load().
Result<void> check_secret_file(const std::string& path);

}  // namespace odmr::config
