#include "collect/login.hpp"

#include <algorithm>
#include <utility>

#include "base/secret.hpp"
#include "sasl/base64.hpp"
#include "sasl/client.hpp"

namespace odmr::collect {

using client::OpenFailure;
using client::Step;
using net::Task;

namespace {

constexpr int k_most_challenges = 10;  // SCRAM and LOGIN need three

// What the exchange comes to once the server has challenged us.
Task<Result<LoginAnswer>> answer_challenges(SaslCarrier& carrier, sasl::Client& client, LoginAnswer answer) {
  for (int round = 0; answer.kind == LoginAnswer::Kind::challenge; ++round) {
    Result<std::string> response = fail(Errc::malformed, "the server asks without end");
    if (round < k_most_challenges) {
      const auto challenge = sasl::from_base64(answer.text);
      if (challenge)
        response = client.step(*challenge);
      else
        response = fail(challenge.error());
    }
    if (!response) {
      const std::string cancel = "*";
      const auto heard = co_await carrier.respond(cancel);
      static_cast<void>(heard);
      co_return fail(response.error());
    }
    std::string line = sasl::to_base64(*response);
    wipe(*response);
    auto next = co_await carrier.respond(std::move(line));
    if (!next) co_return fail(next.error());
    answer = std::move(*next);
  }
  co_return answer;
}

}  // namespace

OpenFailure not_in(Outcome outcome, Cause cause, std::string text) {
  return OpenFailure{Step::auth, outcome, {}, std::move(text), false, {}, cause};
}

OpenFailure login_refused(const std::string& mechanism, const LoginAnswer& answer) {
  return not_in(answer.is_temporary ? Outcome::unavailable : Outcome::auth,
                answer.is_temporary ? Cause::login_put_off : Cause::login_refused,
                "login with " + mechanism + " is refused: \"" + answer.text + "\"");
}

sasl::Situation situation_of(Wire& wire) {
  const auto& tls = wire.stream().tls();
  const client::Login& login = *wire.server().login;
  sasl::Situation situation;
  situation.tls = tls.has_value();
  situation.verified = wire.server().tls != client::TlsPolicy::none;
  situation.has_channel_binding = tls && !tls->exporter.empty();
  situation.has_client_certificate = login.has_client_certificate;
  situation.has_password = !login.password.empty();
  situation.has_token = sasl::names_token(login.filter);
  return situation;
}

bool is_let_through(const client::Login& login, sasl::Mechanism mechanism) {
  const auto& filter = login.filter;
  return filter.empty() || std::find(filter.begin(), filter.end(), mechanism) != filter.end();
}

Task<std::optional<OpenFailure>> log_in_by_sasl(Wire& wire, SaslCarrier& carrier, sasl::Mechanism mechanism) {
  const client::Login& login = *wire.server().login;
  const std::string name(sasl::name(mechanism));
  const std::string exporter = wire.stream().tls() ? wire.stream().tls()->exporter : std::string();
  const sasl::Credentials credentials{login.user, login.password.text()};
  auto client = sasl::Client::start(mechanism, credentials, exporter);
  if (!client) co_return not_in(Outcome::auth, Cause::credentials_unusable, client.error().text);
  std::optional<std::string> initial;
  if (client->speaks_first()) {
    auto first = client->step("");
    if (!first) co_return not_in(Outcome::auth, Cause::credentials_unusable, first.error().text);
    initial = sasl::to_initial_response(*first);
    wipe(*first);
  }
  auto answer = co_await carrier.begin(name, std::move(initial));
  if (!answer) co_return client::wire_failure(Step::auth, answer.error());
  auto last = co_await answer_challenges(carrier, *client, std::move(*answer));
  if (!last && last.error().code == Errc::denied) co_return not_in(Outcome::auth, Cause::no_proof, last.error().text);
  if (!last) co_return client::wire_failure(Step::auth, last.error());
  if (last->kind == LoginAnswer::Kind::no) co_return login_refused(name, *last);
  // A server that has not proved itself in SCRAM is not the one that knows the password.
  const auto proved = client->check_success();
  if (!proved) co_return not_in(Outcome::auth, Cause::no_proof, proved.error().text);
  co_return std::nullopt;
}

}  // namespace odmr::collect
