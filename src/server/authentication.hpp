#pragma once

#include <string>

#include "sasl/server.hpp"
#include "server/channel.hpp"

namespace odmr::server {

/// What became of one AUTH command.
struct Authentication {
  bool succeeded = false;
  std::string user;       ///< once it succeeded
  std::string mechanism;  ///< as asked for, upper case; empty where it is none of ours
  /// For the administrator: sasl::Server::user_without_password().
  std::string user_without_password;
};

/// Carries out AUTH (RFC 4954) with all its lines, replies included. `argument` is what follows the verb; `situation`
/// says which mechanisms may be used on this channel. Errors: those of the stream.
net::Task<Result<Authentication>> authenticate(Channel& channel, std::string argument, const sasl::Accounts& accounts,
                                               const sasl::Channel& binding, const sasl::Situation& situation,
                                               Duration patience);

}  // namespace odmr::server
