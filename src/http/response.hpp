#pragma once

#include <string>

#include "base/clock.hpp"

namespace odmr::http {

struct Response {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
  /// Content-Security-Policy: what a page may load and run. Empty for nothing at all.
  std::string policy;
};

/// The one that says in words what the status means.
Response refusal(int status);

/// On the wire: with what keeps browsers from doing more with it than show it. It is never kept, never framed, and the
/// connection ends behind it. `has_body`: not for HEAD, whose reply says all but that.
std::string to_text(const Response& response, bool has_body, WallTime now);

}  // namespace odmr::http
