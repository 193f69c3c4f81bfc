#pragma once

#include <string>

#include "base/error.hpp"
#include "net/certificate.hpp"

namespace odmr::net {

/// The first certificate of a PEM file: with a chain, one's own. Errors: not_found, denied …; malformed, there is none.
Result<Certificate> certificate_in(const std::string& path);

}  // namespace odmr::net
