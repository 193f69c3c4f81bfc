#include "client/session.hpp"

#include <utility>

#include "smtp/command.hpp"

namespace odmr::client {

namespace {

std::string shown(std::string_view line, Visibility visibility) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  const bool is_command = line.substr(0, 5) == "AUTH ";
  return visibility == Visibility::secret && !is_command ? "*****" : smtp::without_secret(line);
}

}  // namespace

Session::Session(net::Stream stream, Dialect dialect, Log& log, Duration silence, smtp::ReplyLimits limits)
    : stream_(std::move(stream)), dialect_(dialect), log_(log), silence_(silence), limits_(limits) {}

net::Task<Result<smtp::Reply>> Session::read_reply(Duration patience) {
  const TimePoint deadline = stream_.clock().now() + patience;
  smtp::ReplyParser parser(limits_);
  for (;;) {
    if (!stream_.buffered().empty()) {
      auto progress = parser.feed(stream_.buffered());
      if (!progress) co_return fail(progress.error().code, stream_.peer() + ": " + progress.error().text);
      stream_.consume(progress->consumed);
      if (progress->reply) {
        if (log_.wants(Level::trace))
          log_.trace("<", {{"peer", stream_.peer()}, {"line", smtp::without_secret(*progress->reply)}});
        co_return std::move(*progress->reply);
      }
    }
    const auto filled = co_await stream_.fill(deadline);
    if (!filled) co_return fail(filled.error());
  }
}

net::Task<Result<void>> Session::send(std::string_view line, Visibility visibility) {
  if (log_.wants(Level::trace)) {
    log_.trace(">", {{"peer", stream_.peer()}, {"line", shown(line, visibility)}});
  }
  co_return co_await stream_.write(line, silence_);
}

net::Task<Result<void>> Session::send_with_content(std::string lines, std::string_view content) {
  if (log_.wants(Level::trace)) {
    log_.trace(">", {{"peer", stream_.peer()}, {"line", shown(lines, Visibility::open)}});
    log_.trace(">", {{"peer", stream_.peer()}, {"content", std::to_string(content.size()) + " bytes"}});
  }
  lines += content;
  co_return co_await stream_.write(lines, silence_);
}

net::Task<Result<smtp::Reply>> Session::ask(std::string_view line, Duration patience, Visibility visibility) {
  // What has come already answers nothing: the conversation is out of step, or somebody put a reply in. It is looked
  // for, since it need not have come in one segment with the reply before. That the line is gone shows below.
  static_cast<void>(co_await stream_.look_ahead());
  if (!stream_.buffered().empty()) {
    auto unasked = co_await read_reply(std::chrono::seconds(1));
    if (!unasked || unasked->code == 421) co_return unasked;
    co_return fail(Errc::malformed, stream_.peer() + ": a reply that nobody asked for: " + unasked->joined());
  }
  const auto sent = co_await send(line, visibility);
  if (!sent) {
    // The peer may have said why before it went: 421 is worth more than "broken pipe".
    if (sent.error().code == Errc::lost) {
      auto last_words = co_await read_reply(std::chrono::seconds(1));
      if (last_words && last_words->code == 421) co_return last_words;
    }
    co_return fail(sent.error());
  }
  co_return co_await read_reply(patience);
}

net::Task<Result<std::optional<smtp::Reply>>> Session::unasked_reply() {
  const auto looked = co_await stream_.look_ahead();
  if (!stream_.buffered().empty()) {
    auto reply = co_await read_reply(std::chrono::seconds(1));
    if (!reply) co_return fail(reply.error());
    co_return std::optional(std::move(*reply));
  }
  if (!looked) co_return fail(looked.error());
  co_return std::optional<smtp::Reply>();
}

net::Task<Result<void>> Session::send_content(std::string_view bytes) {
  if (log_.wants(Level::trace)) {
    log_.trace(">", {{"peer", stream_.peer()}, {"content", std::to_string(bytes.size()) + " bytes"}});
  }
  co_return co_await stream_.write(bytes, silence_);
}

net::Task<Result<smtp::Reply>> Session::quit(Duration patience) {
  const auto sent = co_await send("QUIT\r\n");
  Result<smtp::Reply> reply;
  if (sent)
    reply = co_await read_reply(patience);
  else
    reply = fail(sent.error());
  co_await stream_.finish();
  co_return reply;
}

}  // namespace odmr::client
