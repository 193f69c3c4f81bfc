#include "turn/turn.hpp"

#include <utility>

#include "smtp/command.hpp"

namespace odmr::turn {

namespace {

using net::Task;
using Failed = tl::unexpected<NotTurned>;

std::string in_words(const smtp::Reply& reply, Outcome outcome) {
  const std::string quoted = "\"" + reply.joined() + "\"";
  switch (outcome) {
    case Outcome::no_mail:
      return "no mail is waiting";
    case Outcome::refused:
      return (reply.code == 450 ? "ATRN is refused: a domain is not this login's, or it was asked too soon: "
                                : "ATRN is refused: ") +
             quoted;
    case Outcome::protocol:
      return "this server does not speak ODMR (is it the right host and port?): " + quoted;
    case Outcome::auth:
      return "the provider does not take us for logged in: " + quoted;
    default:
      return "the provider cannot serve us now: " + quoted;
  }
}

NotTurned broken(const Error& error) {
  const auto failure = client::wire_failure(client::Step::auth, error);
  return NotTurned{failure.outcome, {}, failure.text, failure.interrupted, failure.cause};
}

}  // namespace

std::optional<Outcome> outcome_of(const smtp::Reply& reply) {
  switch (reply.code) {
    case 250:
      return std::nullopt;
    case 453:
      return Outcome::no_mail;
    case 450:
      return Outcome::refused;
    case 500:
    case 502:
    case 504:
      return Outcome::protocol;
    case 530:
      return Outcome::auth;
    default:
      break;
  }
  if (reply.is_transient()) return Outcome::unavailable;
  return reply.is_permanent() ? Outcome::refused : Outcome::protocol;
}

Cause cause_of(const smtp::Reply& reply) {
  switch (outcome_of(reply).value_or(Outcome::no_mail)) {
    case Outcome::no_mail:
      return Cause::unknown;
    case Outcome::refused:
      return reply.code == 450 ? Cause::atrn_refused : Cause::atrn_forbidden;
    case Outcome::auth:
      return Cause::not_logged_in;
    case Outcome::unavailable:
      return Cause::put_off;
    default:
      return reply.is_permanent() ? Cause::no_odmr : Cause::out_of_step;
  }
}

Task<tl::expected<Turned, NotTurned>> turn_round(client::Session session, std::vector<std::string> domains,
                                                 Duration patience, Stop& stop) {
  const auto line = smtp::atrn_line(domains);
  if (!line) co_return Failed(NotTurned{Outcome::config, {}, line.error().text, false, Cause::configuration});
  std::optional<Result<smtp::Reply>> reply;
  {
    const Stop::Listener listener(stop, [&session](Stop::Phase) { session.stream().interrupt(); });
    reply = co_await session.ask(*line, patience);
  }
  if (!*reply) {
    session.close();
    co_return Failed(broken(reply->error()));
  }
  if (const auto outcome = outcome_of(**reply)) {
    NotTurned not_turned{*outcome, **reply, in_words(**reply, *outcome), false, cause_of(**reply)};
    // RFC 2645 5.2.1 leaves the line as it was; one ATRN a connection is all that Exim takes.
    if ((*reply)->code == 421)
      session.close();
    else
      co_await session.quit(std::chrono::seconds(2));
    co_return Failed(std::move(not_turned));
  }
  const bool is_emptied = session.capabilities().has("XEMPTIES");
  co_return Turned{std::move(session).release(), std::move(**reply), is_emptied};
}

}  // namespace odmr::turn
