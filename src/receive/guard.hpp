#pragma once

#include <optional>
#include <set>
#include <string>

#include "smtp/path.hpp"
#include "smtp/reply.hpp"

namespace odmr::receive {

/// Keeps the provider from using us: the local MTA trusts whoever speaks to it from this machine, so only recipients
/// of our own domains come through, and none whose local part such an MTA would route onwards.
class Guard {
 public:
  /// `domains` in canonical form (smtp::canonical_domain).
  explicit Guard(std::set<std::string> domains) : domains_(std::move(domains)) {}

  /// No value: let through. Bare <postmaster> is (RFC 5321 4.5.1). Otherwise 550 5.7.1.
  std::optional<smtp::Reply> objection(const smtp::Path& forward_path) const;

 private:
  std::set<std::string> domains_;
};

}  // namespace odmr::receive
