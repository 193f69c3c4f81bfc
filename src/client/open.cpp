#include "client/open.hpp"

#include <utility>

#include "net/delay.hpp"
#include "smtp/command.hpp"

namespace odmr::client {

namespace {

using net::Task;
using Failed = tl::unexpected<OpenFailure>;
template <class T = void>
using Attempt = tl::expected<T, OpenFailure>;

constexpr auto k_between_attempts = std::chrono::seconds(2);

std::string quoted(const smtp::Reply& reply) {
  return "\"" + reply.joined() + "\"";
}

OpenFailure refused(Step step, Outcome outcome, Cause cause, const smtp::Reply& reply, const std::string& what) {
  return OpenFailure{step, outcome, reply, what + ": " + quoted(reply), false, {}, cause};
}

// A reply that ends the opening: 4xx is for later (RFC 5321 4.2.1), anything else is a breach of the protocol.
OpenFailure refused_by_class(Step step, Cause for_good, const smtp::Reply& reply, const std::string& what) {
  if (reply.is_transient()) return refused(step, Outcome::unavailable, Cause::put_off, reply, what);
  return refused(step, Outcome::protocol, for_good, reply, what);
}

void tell(const OnStep* on_step, Step step, const std::string& text) {
  if (on_step != nullptr) (*on_step)(Reached{step, text, std::nullopt});
}

// Who does not greet, or in no language of ours, is most often at the wrong port.
OpenFailure no_greeting(const Error& error) {
  OpenFailure failure = wire_failure(Step::greeting, error);
  if (failure.cause == Cause::no_answer || failure.cause == Cause::line_lost) failure.cause = Cause::no_greeting;
  if (failure.cause == Cause::out_of_step) failure.cause = Cause::not_smtp;
  return failure;
}

Task<Attempt<>> greeting(Session& session, const Server& server, const OnStep* on_step) {
  const auto reply = co_await session.read_reply(server.patience.command);
  if (!reply) co_return Failed(no_greeting(reply.error()));
  if (reply->code == 220) {
    tell(on_step, Step::greeting, reply->joined());
    co_return Attempt<>();
  }
  co_return Failed(refused_by_class(Step::greeting, Cause::greeting_refused, *reply, "the server does not let us in"));
}

Task<Attempt<>> hello(Session& session, const Server& server, const OnStep* on_step) {
  const std::string verb = server.dialect == Dialect::lmtp ? "LHLO" : "EHLO";
  const auto line = smtp::command_line(verb + " " + server.hostname);
  if (!line) co_return Failed(OpenFailure{Step::hello, Outcome::protocol, {}, line.error().text, false, {}});
  const auto reply = co_await session.ask(*line, server.patience.command);
  if (!reply) co_return Failed(wire_failure(Step::hello, reply.error()));
  if (reply->code != 250) {
    // HELO would be no use: without EHLO there is neither AUTH nor ATRN (RFC 2645 5.1).
    co_return Failed(
        refused_by_class(Step::hello, Cause::hello_refused, *reply, verb + " is refused, and HELO would be no use"));
  }
  session.set_capabilities(smtp::Capabilities::from(*reply));
  tell(on_step, Step::hello, reply->joined());
  co_return Attempt<>();
}

Task<Attempt<>> begin_tls(Session& session, const Server& server, const OnStep* on_step) {
  const TimePoint deadline = session.stream().clock().now() + server.patience.connect;
  const auto begun = co_await session.stream().start_tls_client(server.tls_context, server.endpoint.host, deadline);
  if (begun) {
    const net::TlsFacts& tls = *session.stream().tls();
    tell(on_step, Step::tls, tls.version + " " + tls.cipher);
    if (on_step != nullptr && tls.certificate) {
      (*on_step)(Reached{Step::certificate, net::in_words(*tls.certificate), tls.certificate});
    }
    co_return Attempt<>();
  }
  OpenFailure failure = wire_failure(Step::tls, begun.error());
  if (begun.error().code == Errc::malformed) failure.outcome = Outcome::tls;
  co_return Failed(std::move(failure));
}

// RFC 3207 4. With a policy that demands TLS, whatever keeps it from coming about ends the session: nobody can tell a
// server that cannot from a line on which somebody takes the word away.
Task<Attempt<>> start_tls(Session& session, const Server& server, const OnStep* on_step) {
  if (!session.capabilities().has("STARTTLS")) {
    co_return Failed(OpenFailure{
        Step::tls, Outcome::tls, {}, "the server does not offer STARTTLS", false, {}, Cause::starttls_not_offered});
  }
  const auto reply = co_await session.ask("STARTTLS\r\n", server.patience.command);
  if (!reply) co_return Failed(wire_failure(Step::tls, reply.error()));
  if (reply->code == 421)
    co_return Failed(refused(Step::tls, Outcome::unavailable, Cause::put_off, *reply, "the server closes"));
  if (reply->code != 220) {
    co_return Failed(refused(Step::tls, Outcome::tls, Cause::starttls_refused, *reply, "STARTTLS is refused"));
  }
  session.set_capabilities({});  // RFC 3207 4.2: what was said in clear text counts no more
  auto begun = co_await begin_tls(session, server, on_step);
  if (!begun) co_return begun;
  co_return co_await hello(session, server, on_step);
}

Task<Attempt<>> introduce(Session& session, const Server& server, const OnStep* on_step) {
  if (server.tls == TlsPolicy::implicit) {
    auto begun = co_await begin_tls(session, server, on_step);
    if (!begun) co_return begun;
  }
  auto greeted = co_await greeting(session, server, on_step);
  if (!greeted) co_return greeted;
  auto known = co_await hello(session, server, on_step);
  if (!known) co_return known;
  const bool wants_starttls = server.tls == TlsPolicy::starttls ||
                              (server.tls == TlsPolicy::if_available && session.capabilities().has("STARTTLS"));
  if (wants_starttls) co_return co_await start_tls(session, server, on_step);
  co_return Attempt<>();
}

// A refused session ends politely where the server still listens.
Task<> leave(Session& session, const OpenFailure& failure) {
  if (failure.reply && failure.reply->code != 421 && !failure.interrupted) {
    co_await session.quit(std::chrono::seconds(2));
  } else {
    session.close();
  }
}

Cause cause_of(Errc code) {
  switch (code) {
    case Errc::closed:
    case Errc::lost:
      return Cause::line_lost;
    case Errc::timed_out:
      return Cause::no_answer;
    case Errc::interrupted:
      return Cause::stopped;
    case Errc::unresolved:
      return Cause::name_not_found;
    case Errc::unreachable:
      return Cause::host_unreachable;
    case Errc::tls:
      return Cause::tls_handshake;
    case Errc::untrusted:
      return Cause::certificate_unusable;
    case Errc::malformed:
    case Errc::too_long:
    case Errc::no_space:
      return Cause::out_of_step;
    default:
      return Cause::unknown;
  }
}

// At the server's endpoint alone.
Task<Attempt<Opened>> open_there(net::Network& network, const Server& server, Log& log, Stop& stop,
                                 const OnStep* on_step) {
  auto stream = co_await network.connect(server.endpoint, server.patience.connect, stop);
  if (!stream) co_return Failed(wire_failure(Step::connect, stream.error()));
  tell(on_step, Step::connect, stream->peer());
  Session session(std::move(*stream), server.dialect, log, server.patience.silence, server.reply_limits);
  const Stop::Listener listener(stop, [&session](Stop::Phase) { session.stream().interrupt(); });

  auto known = co_await introduce(session, server, on_step);
  const std::string tls = session.stream().tls() ? session.stream().tls()->version : std::string();
  std::string mechanism;
  if (known && server.login && !stop.requested()) {
    auto in = co_await log_in(session, *server.login, server.tls, server.patience.command, on_step);
    if (in) {
      mechanism = *in;
      tell(on_step, Step::auth, mechanism);
    }
    if (!in) known = Failed(in.error());
  }
  if (known && stop.requested()) {
    known = Failed(OpenFailure{Step::auth, Outcome::unavailable, {}, "stopped by a signal", true, {}, Cause::stopped});
  }
  if (!known) {
    known.error().tls = tls;
    known.error().connections = 1;
    co_await leave(session, known.error());
    co_return Failed(std::move(known.error()));
  }
  co_return Opened{std::move(session), tls, mechanism};
}

// Nobody has said a word yet that could be meant for us: another host may be better off.
bool is_for_next_host(const OpenFailure& failure) {
  const bool is_early = failure.step == Step::connect || failure.step == Step::greeting;
  return is_early && failure.outcome == Outcome::unavailable && !failure.interrupted;
}

std::string with_host(const net::Endpoint& endpoint, const std::string& text) {
  const bool is_named = text.starts_with(endpoint.text()) || text.starts_with(endpoint.host + ":");
  return is_named ? text : endpoint.text() + ": " + text;
}

// One host after the other.
Task<Attempt<Found>> knock_at_any(Door& door, const Server& server, Log& log, const OnNextHost* on_next_host) {
  const std::size_t hosts = 1 + server.alternatives.size();
  std::string tried;
  Found found{0, 0};
  for (;; ++found.host) {
    Server there = server;
    if (found.host > 0) there.endpoint = server.alternatives[found.host - 1];
    auto failure = co_await door.knock(there);
    if (!failure) {
      ++found.connections;
      co_return found;
    }
    found.connections += failure->connections;
    if (hosts > 1) tried += (tried.empty() ? "" : "; ") + with_host(there.endpoint, failure->text);
    if (found.host + 1 < hosts && is_for_next_host(*failure)) {
      log.info("the next host is tried", {{"host", there.endpoint.text()}, {"why", failure->text}});
      if (on_next_host != nullptr) (*on_next_host)(*failure);
      continue;
    }
    failure->connections = found.connections;
    if (hosts > 1 && !failure->interrupted) failure->text = tried;
    co_return Failed(std::move(*failure));
  }
}

// SMTP's, and LMTP's.
class SmtpDoor final : public Door {
 public:
  SmtpDoor(net::Network& network, Log& log, Stop& stop, const OnStep* on_step)
      : network_(network), log_(log), stop_(stop), on_step_(on_step) {}

  Task<std::optional<OpenFailure>> knock(const Server& server) override {
    auto opened = co_await open_there(network_, server, log_, stop_, on_step_);
    if (!opened) co_return std::move(opened.error());
    opened_.emplace(std::move(*opened));
    co_return std::nullopt;
  }
  Opened take() { return std::move(*opened_); }

 private:
  net::Network& network_;
  Log& log_;
  Stop& stop_;
  const OnStep* on_step_;
  std::optional<Opened> opened_;
};

}  // namespace

OpenFailure wire_failure(Step step, const Error& error) {
  OpenFailure failure{step, Outcome::unavailable, {}, error.text, error.code == Errc::interrupted, {}, error.cause};
  if (failure.cause == Cause::unknown) failure.cause = cause_of(error.code);
  if (error.code == Errc::malformed || error.code == Errc::too_long || error.code == Errc::no_space) {
    failure.outcome = Outcome::protocol;
  }
  if (error.code == Errc::tls || error.code == Errc::untrusted) failure.outcome = Outcome::tls;
  return failure;
}

std::string_view name(Step step) {
  switch (step) {
    case Step::connect:
      return "connect";
    case Step::greeting:
      return "greeting";
    case Step::hello:
      return "hello";
    case Step::tls:
      return "tls";
    case Step::certificate:
      return "certificate";
    case Step::mechanism:
      return "mechanism";
    case Step::auth:
      return "auth";
  }
  return {};
}

Task<tl::expected<Found, OpenFailure>> find_host(Door& door, Clock& clock, const Server& server, Log& log, Stop& stop,
                                                 const OnNextHost* on_next_host) {
  for (;;) {
    auto found = co_await knock_at_any(door, server, log, on_next_host);
    const bool is_reached = found || found.error().connections > 0 || found.error().interrupted;
    if (is_reached || clock.now() >= server.line_due) co_return found;
    log.info("not reached yet: the line may still be coming up", {{"why", found.error().text}});
    co_await net::delay(clock, k_between_attempts, stop);
    if (stop.requested()) {
      co_return Failed(
          OpenFailure{Step::connect, Outcome::unavailable, {}, "stopped by a signal", true, {}, Cause::stopped});
    }
  }
}

Task<tl::expected<Opened, OpenFailure>> open(net::Network& network, const Server& server, Log& log, Stop& stop,
                                             const OnStep* on_step, const OnNextHost* on_next_host) {
  SmtpDoor door(network, log, stop, on_step);
  const auto found = co_await find_host(door, network.clock(), server, log, stop, on_next_host);
  if (!found) co_return Failed(found.error());
  Opened opened = door.take();
  opened.connections = found->connections;
  opened.host = found->host;
  co_return opened;
}

}  // namespace odmr::client
