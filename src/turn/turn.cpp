#include "turn/turn.hpp"

#include <algorithm>
#include <utility>

#include "base/ascii.hpp"
#include "smtp/command.hpp"

namespace odmr::turn {

namespace {

using net::Task;
using Failed = tl::unexpected<NotTurned>;

constexpr std::string_view k_hold = "XHOLD";
constexpr std::string_view k_keep = "XKEEP";
// Of the time that a provider says it holds a line, at most so much is believed; and it is given some more to say so.
constexpr std::chrono::seconds k_longest_hold = std::chrono::hours(1);
constexpr std::chrono::seconds k_beyond_hold = std::chrono::minutes(1);

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

// XHOLD 540: seconds, the longest that any of its customers is held. Who is held waits that long, whatever he would
// give an ATRN that is answered at once.
Duration patience_when_held(const client::Session& session, Duration patience) {
  const auto seconds = parse_number(session.capabilities().parameters(k_hold));
  if (!seconds) return patience;
  const auto longest = static_cast<std::uint64_t>(k_longest_hold.count());
  const std::chrono::seconds hold(std::min(*seconds, longest));
  return std::max<Duration>(patience, hold + k_beyond_hold);
}

Task<bool> ask_for(const std::string& line, client::Session& session, Duration patience, Stop& stop) {
  const Stop::Listener listener(stop, [&session](Stop::Phase) { session.stream().interrupt(); });
  const auto reply = co_await session.ask(line, patience);
  co_return reply && reply->code == 250;
}

NotTurned broken_off(const Stop& stop, Duration held) {
  NotTurned not_turned;
  not_turned.outcome = Outcome::no_mail;
  not_turned.text = stop.requested() ? "the wait for mail, with the line held, was ended by a signal"
                                     : "the wait for mail, with the line held, made way for other work";
  not_turned.held = held;
  not_turned.is_broken_off = true;
  return not_turned;
}

}  // namespace

bool may_be_held(const client::Session& session) {
  return session.capabilities().has(k_hold);
}

Task<bool> ask_to_be_held(client::Session& session, Duration patience, Stop& stop) {
  co_return co_await ask_for("XHOLD\r\n", session, patience, stop);
}

bool may_be_kept(const client::Session& session) {
  return session.capabilities().has(k_keep);
}

Task<bool> ask_to_be_kept(client::Session& session, Duration patience, Stop& stop) {
  co_return co_await ask_for("XKEEP\r\n", session, patience, stop);
}

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
                                                 Duration patience, Stop& stop, Stop* enough) {
  const auto line = smtp::atrn_line(domains);
  if (!line) co_return Failed(NotTurned{Outcome::config, {}, line.error().text, false, Cause::configuration});
  const bool is_held = enough != nullptr;
  const TimePoint begin = session.stream().clock().now();
  if (is_held && (stop.requested() || enough->requested())) {
    co_await session.quit(std::chrono::seconds(2));
    co_return Failed(broken_off(stop, Duration::zero()));
  }
  std::optional<Result<smtp::Reply>> reply;
  {
    const auto interrupt = [&session](Stop::Phase) { session.stream().interrupt(); };
    const Stop::Listener listener(stop, interrupt);
    const Stop::Listener also(is_held ? *enough : stop, interrupt);
    if (is_held) patience = patience_when_held(session, patience);
    reply = co_await session.ask(*line, patience);
  }
  std::optional<Duration> held;
  if (is_held) held = session.stream().clock().now() - begin;
  if (!*reply && is_held && reply->error().code == Errc::interrupted) {
    // With the reply outstanding there is nothing to be said but that we go.
    co_await session.stream().finish();
    co_return Failed(broken_off(stop, *held));
  }
  if (!*reply) {
    session.close();
    auto not_turned = broken(reply->error());
    not_turned.held = held;
    co_return Failed(std::move(not_turned));
  }
  if (const auto outcome = outcome_of(**reply)) {
    NotTurned not_turned{*outcome, **reply, in_words(**reply, *outcome), false, cause_of(**reply), held};
    // RFC 2645 5.2.1 leaves the line as it was; one ATRN a connection is all that Exim takes.
    if ((*reply)->code == 421)
      session.close();
    else
      co_await session.quit(std::chrono::seconds(2));
    co_return Failed(std::move(not_turned));
  }
  const bool is_emptied = session.capabilities().has("XEMPTIES");
  co_return Turned{std::move(session).release(), std::move(**reply), is_emptied, held};
}

}  // namespace odmr::turn
