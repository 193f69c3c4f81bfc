#pragma once

#include <string>
#include <vector>

#include "base/clock.hpp"

namespace odmr::net {

/// What a certificate says of itself. Strangers' words, all of it.
struct Certificate {
  std::string subject;             ///< "CN=odmr.example.net"
  std::string issuer;              ///< likewise
  std::vector<std::string> names;  ///< DNS names, addresses and mail addresses in subjectAltName
  WallTime not_before;
  WallTime not_after;
  std::string pin;  ///< SHA-256 of its public key (SPKI), 32 octets
};

/// "it is for a.example, b.example, issued by CN=…, good from 2026-01-31 to 2026-04-30, public key sha256:…": what a
/// person compares with what was expected.
std::string in_words(const Certificate& certificate);

}  // namespace odmr::net
