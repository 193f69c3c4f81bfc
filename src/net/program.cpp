#include "net/program.hpp"

#include <sys/socket.h>

#include <asio/generic/stream_protocol.hpp>
#include <utility>

#include "net/readiness.hpp"
#include "net/socket.hpp"

namespace odmr::net {

namespace {

Result<Stream> stream_of(asio::io_context& loop, Clock& clock, Descriptor line, const std::string& peer) {
  asio::generic::stream_protocol::socket socket(loop);
  std::error_code error;
  socket.assign(asio::generic::stream_protocol(AF_UNIX, 0), line.get(), error);
  if (error) return fail(Errc::unreachable, peer + ": " + error.message());
  line.release();
  return Stream(socket_transport(std::move(socket), peer, clock), clock);
}

}  // namespace

std::string words_as_text(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

Task<Result<Stream>> connect_to_program(asio::io_context& loop, Clock& clock, const BeginProgram& begin,
                                        const std::vector<std::string>& words, Duration patience, Stop& stop) {
  const std::string peer = words_as_text(words);
  if (!begin) co_return fail(Errc::unreachable, peer + ": no program can be started here");
  if (stop.requested()) co_return fail(Errc::interrupted, "stopped by a signal");
  auto asked = begin(words);
  if (!asked) co_return fail(Errc::unreachable, peer + ": " + asked.error().text);
  const auto ready = readiness_of(asked->answer.get(), loop.get_executor());
  if (!ready) co_return fail(Errc::unreachable, peer + ": " + ready.error().text);
  const Stop::Listener listener(stop, [&ready](Stop::Phase) { (*ready)->cancel(); });
  const auto alarm = clock.alarm([&ready] { (*ready)->cancel(); });
  alarm->set(clock.now() + patience);
  const auto answered = co_await (*ready)->wait();
  if (stop.requested()) co_return fail(Errc::interrupted, "stopped by a signal");
  if (!answered) co_return fail(Errc::timed_out, peer + ": is not started in time");
  const auto begun = asked->begun(asked->answer);
  if (!begun) co_return fail(Errc::unreachable, peer + ": cannot be started: " + begun.error().text);
  co_return stream_of(loop, clock, std::move(asked->line), peer);
}

}  // namespace odmr::net
