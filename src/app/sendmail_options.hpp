#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace odmr::app {

/// What a caller of sendmail(1) wants.
struct SendmailOptions {
  enum class Mode {
    submit,   ///< -bm: the message is on standard input
    session,  ///< -bs: an SMTP session is
    list,     ///< -bp, mailq
    flush,    ///< -q…
    aliases,  ///< -bi, newaliases: there are none
    help,
    version,
  };
  Mode mode = Mode::submit;
  std::vector<std::string> recipients;  ///< each may be a list, with names
  bool from_header = false;             ///< -t
  bool dot_ends = true;                 ///< not -i: a line with a dot alone ends the message
  std::optional<std::string> sender;    ///< -f
  std::string full_name;                ///< -F
  std::string config;                   ///< -C, -c, --config
  bool direct = false;
};

/// The options as sendmail(1) has them: single letters that may stand together ("-ti"), values attached or behind,
/// options also behind recipients until "--". What other programs' callers pass and what means nothing here is passed
/// over. Errors: malformed, for what is no option.
Result<SendmailOptions> parse_sendmail(const std::vector<std::string>& arguments, SendmailOptions start = {});

/// A command line, of which parse_sendmail() has its part.
struct SendmailCall {
  std::string name;  ///< for messages: "sendmail", "mailq", "odmr sendmail" …
  SendmailOptions start;
  std::vector<std::string> arguments;
};
/// Whether it is a call of sendmail(1): by the program's name (sendmail, mailq, newaliases), or by "odmr [OPTION…]
/// sendmail …".
std::optional<SendmailCall> sendmail_call(const std::vector<std::string>& command_line);

/// What --help says.
std::string sendmail_help(const std::string& name);

}  // namespace odmr::app
