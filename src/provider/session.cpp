#include "provider/session.hpp"

#include <utility>

namespace odmr::provider {

namespace {

using net::Task;

constexpr auto k_handshake = std::chrono::seconds(30);
constexpr auto k_farewell = std::chrono::seconds(1);

Task<bool> begin_implicit_tls(net::Stream& stream, const Door& door, Log& log, Stop& stop) {
  const Stop::Listener listener(stop, [&stream](Stop::Phase) { stream.close(); });
  const auto begun = co_await stream.start_tls_server(door.context, stream.clock().now() + Duration(k_handshake));
  if (!begun) {
    log.warn("TLS does not come about", {{"why", begun.error().text}});
    stream.close();
  }
  co_return begun.has_value();
}

}  // namespace

Task<> attend(net::Stream stream, const Door& door, Provider& provider, Log& log, Stop& stop) {
  Clock& clock = stream.clock();
  const TimePoint start = clock.now();
  if (!provider.access.admits(stream.peer())) {
    log.info("turned away: this address may not connect");
    // Under TLS from the first byte there is nothing that could be said in time.
    const std::string no_service = "554 5.7.1 " + provider.options.hostname + " has no service for you\r\n";
    if (door.tls != DoorTls::implicit) co_await stream.write(no_service, k_farewell);
    co_return co_await stream.finish();
  }
  if (door.tls == DoorTls::implicit) {
    const bool begun = co_await begin_implicit_tls(stream, door, log, stop);
    if (!begun) co_return;
  }
  Calls::Line line(provider.calls, stream.peer(), clock);
  auto turn = co_await speak_to_customer(std::move(stream), door, provider, line, log, stop);
  if (!turn) co_return log.debug("session without a turn", {{"seconds", in_seconds(clock.now() - start)}});

  const std::string customer = turn->customer->name;
  const HandedOver sum = co_await hand_over(std::move(*turn), provider, line, log, stop);
  line.handed_over(sum);
  say(sum, "session", customer, clock.now() - start, log);
}

}  // namespace odmr::provider
