#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/settings.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"

namespace odmr::app {

/// What `odmr setup` wants to know.
enum class Question { provider, domains, user, password, deliver, smart_host, interval };

/// A provider beside the one that setup asks about, or without one: a mailbox, or one for ETRN.
struct FurtherProvider {
  std::string name;
  std::vector<std::pair<std::string, std::string>> keys;  ///< with their values as TOML has them
  std::string deliver;                                    ///< a target of its own; empty: [deliver]
  bool has_password = false;
  std::string secret;  ///< the name of the file that has it, beside the configuration
};

/// A secret for such a file. Several providers may have the same.
struct FurtherSecret {
  std::string file;
  Secret password;
};

/// What it has been told, in the words of the configuration; the password apart. Empty: not told yet, or left out.
struct SetupAnswers {
  std::string name = "isp";  ///< of the table: [provider.NAME]
  std::string host;          ///< "HOST", "HOST:PORT", "[ADDRESS]:PORT"
  std::string tls;
  std::string ca_file;
  std::vector<std::string> pins;
  std::vector<std::string> domains;
  std::string user;
  std::string password_file;          ///< one that is there already; empty: one is written
  std::string deliver;                ///< "smtp://127.0.0.1:25"
  std::string smart_host;             ///< "smtp://HOST:PORT", "provider"; empty: none
  bool logs_in_at_smart_host = true;  ///< with the provider's user and password
  std::string interval;
  std::string hostname;
  std::string state_dir;
  std::string run_as;
  bool has_odmr = true;  ///< false: only the further ones
  std::vector<FurtherProvider> further;
};

/// Puts an answer, as a person types it, into the answers. Errors: malformed, with what would be right; the judge is
/// the reader of the configuration. (A password is no such answer, and is judged by check_password().)
Result<void> take_answer(Question question, std::string_view text, SetupAnswers& answers);

/// What would be wrong with a configuration of these answers; of what has not been told nothing is said. With `about`
/// only what that question is about.
std::vector<std::string> objections_to(const SetupAnswers& answers, std::optional<Question> about = {});

/// Whether it can be the first line of a file. Error: malformed.
Result<void> check_password(std::string_view password);

/// "NAME" of [provider.NAME], which also names files. Error: malformed.
Result<void> check_provider_name(std::string_view name);

/// The file's text. `password_file`: what stands there as the key's value.
std::string configuration_text(const SetupAnswers& answers, const std::string& password_file);

/// A text as TOML writes it, quotes included.
std::string toml_string(std::string_view text);

/// What an existing configuration says, as far as setup asks for it: with its first provider.
SetupAnswers answers_in(const Settings& settings);

/// The domains this host's mail seems to be for: of /etc/mailname, or of its own name. Empty where neither has one.
std::string likely_domain(std::string_view mailname, std::string_view hostname);

}  // namespace odmr::app
