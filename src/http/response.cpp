#include "http/response.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace odmr::http {

namespace {

// RFC 9110 15
const char* reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 414:
      return "URI Too Long";
    case 421:
      return "Misdirected Request";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Internal Server Error";
  }
}

}  // namespace

Response refusal(int status) {
  return {status, "text/plain; charset=utf-8", fmt::format("{} {}\n", status, reason(status)), {}};
}

std::string to_text(const Response& response, bool has_body, WallTime now) {
  std::string text = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
  text += fmt::format("Date: {:%a, %d %b %Y %H:%M:%S} GMT\r\n", fmt::gmtime(std::chrono::system_clock::to_time_t(now)));
  text += fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", response.type, response.body.size());
  if (response.status == 405) text += "Allow: GET, HEAD\r\n";
  text += "Connection: close\r\nCache-Control: no-store\r\n";
  text += "Content-Security-Policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" +
          (response.policy.empty() ? std::string() : "; " + response.policy) + "\r\n";
  text +=
      "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n"
      "Cross-Origin-Resource-Policy: same-origin\r\n\r\n";
  return has_body ? text + response.body : text;
}

}  // namespace odmr::http
