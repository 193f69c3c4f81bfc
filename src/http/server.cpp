#include "http/server.hpp"

#include <optional>
#include <utility>

#include "http/request.hpp"

namespace odmr::http {

namespace {

using net::Task;

// No value: the caller is gone.
struct Heard {
  std::optional<Request> request;
  std::optional<Response> refused;
};

Task<Heard> read_request(net::Stream& stream, Duration patience) {
  const TimePoint deadline = stream.clock().now() + patience;
  Heard heard;
  for (;;) {
    auto parsed = parse_request(stream.buffered());
    if (!parsed) {
      heard.refused = refusal(parsed.error().status);
      co_return heard;
    }
    if (*parsed) {
      heard.request = std::move(**parsed);
      co_return heard;
    }
    const auto filled = co_await stream.fill(deadline);
    if (filled) continue;
    if (filled.error().code == Errc::timed_out) heard.refused = refusal(408);
    co_return heard;
  }
}

Task<Response> reply_to(Request request, const Pages& pages) {
  const bool is_known = request.method == "GET" || request.method == "HEAD";
  if (!is_loopback_host(request.host)) co_return refusal(421);
  const auto page = pages.find(request.target);
  if (page == pages.end()) co_return refusal(404);
  if (!is_known) co_return refusal(405);
  auto response = co_await page->second();
  co_return response;
}

}  // namespace

Task<> answer(net::Stream stream, const Pages& pages, Patience patience, Log& log, Stop& stop) {
  const Stop::Listener listener(stop, [&stream](Stop::Phase phase) {
    if (phase == Stop::Phase::leave)
      stream.close();
    else
      stream.interrupt();
  });
  if (stop.requested()) co_return stream.close();
  auto heard = co_await read_request(stream, patience.request);
  bool has_body = true;
  std::string target;
  if (heard.request) {
    has_body = heard.request->method != "HEAD";
    target = heard.request->target;
    heard.refused = co_await reply_to(std::move(*heard.request), pages);
  }
  if (!heard.refused) co_return stream.close();
  log.debug("status page", {{"target", target}, {"status", std::to_string(heard.refused->status)}});
  const std::string text = to_text(*heard.refused, has_body, stream.clock().wall());
  const auto written = co_await stream.write(text, patience.reply);
  if (written)
    co_await stream.finish();
  else
    stream.close();
}

std::string busy_reply(WallTime now) {
  return to_text(refusal(503), true, now);
}

}  // namespace odmr::http
