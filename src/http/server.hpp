#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/log.hpp"
#include "base/stop.hpp"
#include "http/response.hpp"
#include "net/stream.hpp"

namespace odmr::http {

/// Makes the page of a target.
using Page = std::function<net::Task<Response>()>;
/// By target: "/", "/metrics".
using Pages = std::map<std::string, Page>;

/// How a request is waited for.
struct Patience {
  Duration request = std::chrono::seconds(10);  ///< from the connection until it is whole
  Duration reply = std::chrono::seconds(10);    ///< without a byte of it taken
};

/// One request, one reply, and the end: GET and HEAD of `pages`, for who names this machine by a loopback name. All
/// else is refused: 400, 404, 405, 408, 414, 421 (Host), 431, 505. Ends when `stop` is asked for.
net::Task<> answer(net::Stream stream, const Pages& pages, Patience patience, Log& log, Stop& stop);

/// The reply of one that has no time for more.
std::string busy_reply(WallTime now);

}  // namespace odmr::http
