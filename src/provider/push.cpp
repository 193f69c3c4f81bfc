#include "provider/push.hpp"

#include <utility>

namespace odmr::provider {

namespace {

using net::Task;

constexpr std::size_t k_most_hosts = 10;

// The server with the hosts to try. Errors: those of looking a domain up.
Task<Result<client::Server>> server_for(const Push& push, Provider& provider, Stop& stop) {
  const Etrn& etrn = *push.customer->etrn;
  client::Server server = etrn.server;
  if (etrn.to == Etrn::To::caller) server.endpoint.host = push.caller;
  if (etrn.to != Etrn::To::domain) co_return server;
  const std::string domain = server.endpoint.host;
  auto hosts = co_await provider.network.mail_exchangers(domain, server.patience.connect, stop);
  if (!hosts) co_return fail(hosts.error());
  if (hosts->size() > k_most_hosts) hosts->resize(k_most_hosts);
  server.endpoint.host = hosts->front();
  for (std::size_t i = 1; i < hosts->size(); ++i) {
    net::Endpoint other = server.endpoint;
    other.host = (*hosts)[i];
    server.alternatives.push_back(std::move(other));
  }
  co_return server;
}

}  // namespace

Task<> push(Push push, Provider& provider, Log& log, Stop& stop) {
  const std::string customer = push.customer->name;
  const TimePoint start = provider.network.clock().now();
  Calls::Line line(provider.calls, push.caller, provider.network.clock());
  line.logged_in(customer);
  const auto waits = [&](const Error& error) {
    log.warn("the mail that ETRN asked for waits", {{"customer", customer}, {"why", error.text}});
    line.answered("ETRN: its server cannot be reached: " + error.text, 0);
  };
  const auto server = co_await server_for(push, provider, stop);
  if (!server) co_return waits(server.error());
  auto opened = co_await client::open(provider.network, *server, log, stop);
  if (!opened) co_return waits(Error{Errc::unreachable, opened.error().text});
  line.answered("ETRN", 0);
  const HandedOver sum = co_await hand_over(std::move(opened->session), std::move(push.domains), std::move(push.claim),
                                            std::move(push.visit), provider.held, provider.options, log, stop);
  line.handed_over(sum);
  say(sum, "pushed", customer, provider.network.clock().now() - start, log);
}

}  // namespace odmr::provider
