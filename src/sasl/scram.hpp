#pragma once

#include <string_view>

#include "base/error.hpp"

// The duties of a SCRAM client that libgsasl leaves to its caller (RFC 5802 5, RFC 7677 4). For this room's own
// sources.
namespace odmr::sasl {

/// Our nonce, out of our own first message.
std::string_view nonce_of(std::string_view client_first);

/// Judges the server's first message before anything is computed from it: our nonce and more, a salt, an iteration
/// count that is neither cheap to guess nor costly to answer, every attribute once, no extension that must be
/// understood.
Result<void> check_server_first(std::string_view message, std::string_view client_nonce);

/// Judges the form of the server's last message: an error it reports is one, and there must be a signature, once.
Result<void> check_server_final(std::string_view message);

}  // namespace odmr::sasl
