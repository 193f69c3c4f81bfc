#include "server/authentication.hpp"

#include <utility>

#include "base/ascii.hpp"
#include "base/secret.hpp"
#include "sasl/base64.hpp"

namespace odmr::server {

namespace {

using net::Task;
using smtp::Reply;

constexpr std::size_t k_longest_response = 12288;  // RFC 4954 4

// The reply to an exchange that failed. Bad user and bad password are one and the same.
Reply refusal(const Error& error) {
  switch (error.code) {
    case Errc::malformed:
      return Reply(501, "5.5.2 the response does not follow the mechanism");
    case Errc::too_long:
      return Reply(500, "5.5.6 the response is too long");
    case Errc::denied:
      return Reply(535, "5.7.8 the login is not accepted");
    default:
      return Reply(454, "4.7.0 the login cannot be checked now");
  }
}

// One line from the client: its decoded bytes, or the reply that ends the exchange.
struct Response {
  std::string bytes;
  std::optional<Reply> end;
};

Task<Result<Response>> read_response(Channel& channel, std::string challenge, Duration patience) {
  channel.reply(Reply(334, sasl::to_base64(challenge)));
  auto line = co_await channel.read_line(k_longest_response, channel.clock().now() + patience, true);
  if (!line) co_return fail(line.error());
  Response response;
  if (line->fault == Line::Fault::too_long) {
    response.end = Reply(500, "5.5.6 the response is too long");
  } else if (line->fault != Line::Fault::none) {
    response.end = Reply(501, "5.5.2 lines end in CRLF, and hold no other CR or LF");
  } else if (line->text == "*") {
    response.end = Reply(501, "5.7.0 cancelled");
  } else if (auto bytes = sasl::from_base64(line->text)) {
    response.bytes = std::move(*bytes);
  } else {
    response.end = Reply(501, "5.5.2 the response is no base64");
  }
  wipe(line->text);
  co_return response;
}

}  // namespace

Task<Result<Authentication>> authenticate(Channel& channel, std::string argument, const sasl::Accounts& accounts,
                                          const sasl::Channel& binding, const sasl::Situation& situation,
                                          Duration patience) {
  Authentication outcome;
  const auto space = argument.find(' ');
  const auto mechanism = sasl::mechanism_named(std::string_view(argument).substr(0, space));
  if (!mechanism) {
    channel.reply(Reply(504, "5.5.4 no such mechanism here"));
    co_return outcome;
  }
  outcome.mechanism = sasl::name(*mechanism);
  if (!sasl::is_usable(*mechanism, situation)) {
    channel.reply(situation.tls ? Reply(504, "5.5.4 not on this line")
                                : Reply(538, "5.7.11 encryption is required for this mechanism"));
    co_return outcome;
  }
  std::optional<std::string> initial;
  if (space != std::string::npos) {
    auto decoded = sasl::from_initial_response(trim(std::string_view(argument).substr(space)));
    wipe(argument);
    if (!decoded) {
      channel.reply(Reply(501, "5.5.2 the initial response is no base64"));
      co_return outcome;
    }
    initial = std::move(*decoded);
  }

  auto exchange = sasl::Server::start(*mechanism, accounts, binding);
  if (!exchange) {
    channel.reply(refusal(exchange.error()));
    co_return outcome;
  }
  auto step = exchange->begin(initial ? std::optional<std::string_view>(*initial) : std::nullopt);
  while (step && !step->done) {
    auto response = co_await read_response(channel, std::move(step->challenge), patience);
    if (!response) co_return fail(response.error());
    if (response->end) {
      channel.reply(*response->end);
      co_return outcome;
    }
    step = exchange->step(response->bytes);
    wipe(response->bytes);
  }
  if (!step) {
    outcome.user_without_password = exchange->user_without_password();
    channel.reply(refusal(step.error()));
    co_return outcome;
  }
  outcome.succeeded = true;
  outcome.user = step->user;
  channel.reply(Reply(235, "2.7.0 welcome"));
  co_return outcome;
}

}  // namespace odmr::server
