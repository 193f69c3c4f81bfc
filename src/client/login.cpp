#include <utility>

#include "client/open.hpp"
#include "sasl/base64.hpp"
#include "sasl/client.hpp"

namespace odmr::client {

namespace {

using net::Task;
using Failed = tl::unexpected<OpenFailure>;
using Attempt = tl::expected<smtp::Reply, OpenFailure>;

constexpr int k_most_challenges = 10;  // SCRAM and LOGIN need three

OpenFailure not_in(Outcome outcome, Cause cause, std::string text) {
  return OpenFailure{Step::auth, outcome, {}, std::move(text), false, {}, cause};
}

OpenFailure login_refused(const smtp::Reply& reply, const std::string& mechanism) {
  // RFC 4954 6: 4xx, 454 among them, is the server's own trouble; 432 wants a new password and stays 4xx too.
  const Outcome outcome = reply.is_transient()   ? Outcome::unavailable
                          : reply.is_permanent() ? Outcome::auth
                                                 : Outcome::protocol;
  const Cause cause = reply.is_transient()   ? Cause::login_put_off
                      : reply.is_permanent() ? Cause::login_refused
                                             : Cause::out_of_step;
  return OpenFailure{Step::auth, outcome, reply, "login with " + mechanism + " is refused: \"" + reply.joined() + "\"",
                     false,      {},      cause};
}

sasl::Situation situation_of(Session& session, const Login& login, TlsPolicy policy) {
  const auto& tls = session.stream().tls();
  sasl::Situation situation;
  situation.tls = tls.has_value();
  situation.verified = policy != TlsPolicy::none;
  situation.has_channel_binding = tls && !tls->exporter.empty();
  situation.has_client_certificate = login.has_client_certificate;
  situation.has_password = !login.password.empty();
  situation.has_token = sasl::names_token(login.filter);
  return situation;
}

Task<Result<smtp::Reply>> answer(Session& session, std::string response, Duration patience) {
  std::string line = sasl::to_base64(response) + "\r\n";
  wipe(response);
  auto reply = co_await session.ask(line, patience, Visibility::secret);
  wipe(line);
  co_return reply;
}

Task<Result<smtp::Reply>> say_auth(Session& session, sasl::Client& client, const std::string& mechanism,
                                   Duration patience) {
  std::string line = "AUTH " + mechanism;
  if (!client.speaks_first()) {
    line += "\r\n";
    co_return co_await session.ask(line, patience);
  }
  auto first = client.step("");
  if (!first) co_return fail(first.error());
  // RFC 4954 4: the line may not be longer than 12288 octets; an initial response that is empty is "=".
  std::string argument = sasl::to_initial_response(*first);
  wipe(*first);
  line += " " + argument + "\r\n";
  wipe(argument);
  auto reply = co_await session.ask(line, patience, Visibility::secret);
  wipe(line);
  co_return reply;
}

// Cancels the exchange (RFC 4954 4) for a reason of ours.
Task<OpenFailure> give_up(Session& session, Outcome outcome, std::string why, Duration patience) {
  co_await session.ask("*\r\n", patience);
  const Cause cause = outcome == Outcome::auth ? Cause::no_proof : Cause::out_of_step;
  co_return not_in(outcome, cause, std::move(why));
}

void tell_choice(const OnStep* on_step, const Session& session, const Login& login, sasl::Mechanism taken,
                 const sasl::Situation& situation) {
  if (on_step == nullptr) return;
  const auto offered = session.capabilities().mechanisms();
  std::string text = std::string(sasl::name(taken)) + ", of ";
  for (const auto& one : offered) text += (&one == &offered.front() ? "" : " ") + one;
  const auto others = sasl::why_not(offered, login.filter, situation);
  if (!others.empty()) text += "; not " + others;
  (*on_step)(Reached{Step::mechanism, text, std::nullopt});
}

Task<Attempt> exchange(Session& session, sasl::Client& client, const std::string& mechanism, Duration patience) {
  auto reply = co_await say_auth(session, client, mechanism, patience);
  for (int round = 0; reply && reply->code == 334; ++round) {
    if (round == k_most_challenges) {
      co_return Failed(co_await give_up(session, Outcome::protocol, "the server asks without end", patience));
    }
    const auto challenge = sasl::from_base64(reply->lines.empty() ? std::string() : reply->lines.front());
    if (!challenge) {
      co_return Failed(co_await give_up(session, Outcome::protocol, "challenge: " + challenge.error().text, patience));
    }
    auto response = client.step(*challenge);
    if (!response) {
      // A server that fails its proof is one that does not know the password.
      const Outcome outcome = response.error().code == Errc::denied ? Outcome::auth : Outcome::protocol;
      co_return Failed(co_await give_up(session, outcome, response.error().text, patience));
    }
    reply = co_await answer(session, std::move(*response), patience);
  }
  if (!reply) co_return Failed(wire_failure(Step::auth, reply.error()));
  co_return *reply;
}

}  // namespace

Task<tl::expected<std::string, OpenFailure>> log_in(Session& session, const Login& login, TlsPolicy policy,
                                                    Duration patience, const OnStep* on_step) {
  const auto situation = situation_of(session, login, policy);
  const auto mechanism = sasl::choose(session.capabilities().mechanisms(), login.filter, situation);
  if (!mechanism) co_return Failed(not_in(Outcome::auth, mechanism.error().cause, mechanism.error().text));
  tell_choice(on_step, session, login, *mechanism, situation);
  const std::string name(sasl::name(*mechanism));

  const std::string exporter = session.stream().tls() ? session.stream().tls()->exporter : std::string();
  const sasl::Credentials credentials{login.user, login.password.text()};
  auto client = sasl::Client::start(*mechanism, credentials, exporter);
  if (!client) co_return Failed(not_in(Outcome::auth, Cause::credentials_unusable, client.error().text));

  auto reply = co_await exchange(session, *client, name, patience);
  if (!reply) co_return Failed(std::move(reply.error()));
  if (reply->code != 235) co_return Failed(login_refused(*reply, name));
  // RFC 2645 5.1.3: not authenticated before the server says so; and a server that has not proved itself in SCRAM is
  // not the one that knows the password.
  const auto proved = client->check_success();
  if (!proved) co_return Failed(not_in(Outcome::auth, Cause::no_proof, proved.error().text));
  co_return name;
}

}  // namespace odmr::client
