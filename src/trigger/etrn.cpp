#include "trigger/etrn.hpp"

#include <utility>

#include "smtp/command.hpp"

namespace odmr::trigger {

namespace {

using net::Task;

constexpr auto k_farewell = std::chrono::seconds(2);

// Whether the answer is about the server rather than the node: the next one would be the same.
bool is_about_server(Outcome outcome, const smtp::Reply& reply) {
  return outcome == Outcome::protocol || outcome == Outcome::auth || reply.code == 421;
}

std::string meaning_of(const smtp::Reply& reply) {
  switch (reply.code) {
    case 251:
      return "no mail waits there";
    case 253:
      return "the server begins to send what waits, and says how many messages that are";
    case 458:
      return "the server cannot send it now";
    case 459:
      return "the server does not let us ask for it";
    case 500:
    case 502:
    case 504:
      return "the server does not know ETRN, which it offers";
    case 501:
      return "the server does not take that for a name";
    case 530:
      return "the server wants a login first";
    default:
      break;
  }
  if (reply.is_positive()) return "the server begins to send what waits";
  return reply.is_transient() ? "the server cannot serve us now" : "it is refused";
}

void add(EtrnEnd& end, const std::string& node, const smtp::Reply& reply) {
  const Outcome outcome = outcome_of(reply);
  end.text += (end.text.empty() ? "" : "; ") + in_words(node, reply);
  if (!end.reply || (end.outcome == Outcome::no_mail && outcome != Outcome::no_mail)) end.reply = reply;
  if (outcome <= end.outcome) return;
  end.outcome = outcome;
  end.cause = cause_of(reply);
}

void add_failure(EtrnEnd& end, const std::string& node, const Error& error) {
  const auto failure = client::wire_failure(client::Step::auth, error);
  end.interrupted = failure.interrupted;
  end.text += (end.text.empty() ? "" : "; ") + std::string("ETRN ") + node + ": " + failure.text;
  if (failure.outcome < end.outcome) return;
  end.outcome = failure.outcome;
  end.cause = failure.cause;
}

}  // namespace

Outcome outcome_of(const smtp::Reply& reply) {
  switch (reply.code) {
    case 459:
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
  // RFC 1985 5.3: 250 to 253 differ in what the server tells of its queue.
  if (reply.is_positive()) return Outcome::no_mail;
  if (reply.is_transient()) return Outcome::unavailable;
  return reply.is_permanent() ? Outcome::refused : Outcome::protocol;
}

Cause cause_of(const smtp::Reply& reply) {
  switch (outcome_of(reply)) {
    case Outcome::no_mail:
      return Cause::unknown;
    case Outcome::refused:
      return Cause::etrn_refused;
    case Outcome::auth:
      return Cause::not_logged_in;
    case Outcome::unavailable:
      return Cause::put_off;
    default:
      return reply.is_permanent() ? Cause::no_etrn : Cause::out_of_step;
  }
}

std::string in_words(const std::string& node, const smtp::Reply& reply) {
  return "ETRN " + node + ": " + meaning_of(reply) + " (\"" + reply.joined() + "\")";
}

Task<EtrnEnd> say_etrn(client::Session session, std::vector<std::string> nodes, Duration patience, Stop& stop) {
  EtrnEnd end;
  if (!session.capabilities().has("ETRN")) {
    end.outcome = Outcome::protocol;
    end.cause = Cause::no_etrn;
    end.text = "the server does not offer ETRN in its reply to EHLO";
    co_await session.quit(k_farewell);
    co_return end;
  }
  for (const auto& node : nodes) {
    const auto line = smtp::command_line("ETRN " + node);
    if (!line) {
      end.outcome = Outcome::config;
      end.cause = Cause::configuration;
      end.text = "ETRN " + node + ": " + line.error().text;
      break;
    }
    std::optional<Result<smtp::Reply>> reply;
    {
      const Stop::Listener listener(stop, [&session](Stop::Phase) { session.stream().interrupt(); });
      reply = co_await session.ask(*line, patience);
    }
    if (!*reply) {
      add_failure(end, node, reply->error());
      session.close();
      co_return end;
    }
    add(end, node, **reply);
    if ((*reply)->code == 421) {
      session.close();
      co_return end;
    }
    if (is_about_server(outcome_of(**reply), **reply)) break;
  }
  co_await session.quit(k_farewell);
  co_return end;
}

}  // namespace odmr::trigger
