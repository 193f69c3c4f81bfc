#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/provider_settings.hpp"
#include "base/secret.hpp"

namespace odmr::app {

// The customers that `odmrd customer` keeps: a file each in customers_dir, NAME.toml. What people have written stays as
// it is. A file is replaced at one stroke, so that a daemon that reads it meanwhile has the old one or the new one.

/// What is kept of a password.
enum class Kept {
  verifier,  ///< of SCRAM-SHA-256
  password,  ///< itself, which CRAM-MD5 and SCRAM-SHA-1 need
};

/// A customer as `odmrd customer add` is told of it.
struct NewCustomer {
  std::string name;
  std::string user;  ///< empty: the first domain
  std::vector<std::string> domains;
  std::vector<std::string> recipients;  ///< empty: everybody
  std::string quota;                    ///< as the configuration has it; empty: none
  Kept kept = Kept::verifier;
};

/// Why nothing has changed.
struct CustomerFailure {
  int exit = 0;
  std::vector<std::string> reasons;  ///< a line each
};
template <class Value = void>
using CustomerResult = tl::expected<Value, CustomerFailure>;

/// A customer that is there now.
struct CustomerWritten {
  DaemonSettings settings;  ///< as they are read from now on
  std::string file;
  Kept kept = Kept::verifier;
};

/// The file has mode 0600; or 0640 and their group, where root writes for the user that the daemon becomes, or to whom
/// the spool belongs. Failures: 64, what was said of the customer cannot be (a domain that is another's); 78, the
/// configuration was faulty before; 73, the file is there, or cannot be written.
CustomerResult<CustomerWritten> add_customer(const std::string& configuration, const NewCustomer& customer,
                                             const Secret& password);
/// Another password; no value for `kept`: what was kept so far. Nothing else in the file changes. Failures: as above;
/// 67, there is no such customer; 64, it is not kept here, or logs in otherwise.
CustomerResult<CustomerWritten> change_password(const std::string& configuration, const std::string& name,
                                                const Secret& password, std::optional<Kept> kept);
/// Gives the settings as they were, and the file that is gone. Failures: as above.
CustomerResult<CustomerWritten> remove_customer(const std::string& configuration, const std::string& name);

/// Whether the customer stands in customers_dir.
bool is_kept_in_directory(const DaemonSettings& settings, const CustomerSettings& customer);

/// One that nobody guesses: 24 letters and digits that are not taken for each other, 120 bits.
Secret new_password();

}  // namespace odmr::app
