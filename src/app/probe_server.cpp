#include "app/probe_server.hpp"

#include <algorithm>
#include <utility>

#include "deliver/smtp_target.hpp"
#include "send/pop_before_smtp.hpp"
#include "smtp/path.hpp"

namespace odmr::app {

namespace {

using client::Server;
using client::TlsPolicy;
using net::Task;

constexpr auto k_farewell = std::chrono::seconds(5);
constexpr long k_few_days = 14;

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

ProbeStep head_of(With part, const Server& server) {
  ProbeStep head;
  head.part = part;
  head.where = server.endpoint.text();
  return head;
}

// The steps that client::open() will go through, in its order.
std::vector<std::string> steps_of(const Server& server) {
  std::vector<std::string> steps;
  if (server.endpoint.socket_path.empty()) steps.emplace_back("name");
  steps.emplace_back("connect");
  const bool is_implicit = server.tls == TlsPolicy::implicit;
  if (is_implicit) steps.insert(steps.end(), {"tls", "certificate"});
  steps.insert(steps.end(), {"greeting", "hello"});
  if (server.tls == TlsPolicy::starttls) steps.insert(steps.end(), {"tls", "certificate"});
  if (server.login) steps.insert(steps.end(), {"mechanism", "auth"});
  return steps;
}

// Where the failure shows best: OpenFailure's step has less of them.
std::string step_of(const client::OpenFailure& failure) {
  switch (failure.cause) {
    case Cause::certificate_expired:
    case Cause::certificate_not_yet_valid:
    case Cause::certificate_of_another_host:
    case Cause::certificate_of_unknown_issuer:
    case Cause::certificate_unusable:
    case Cause::pin_mismatch:
      return "certificate";
    case Cause::auth_not_offered:
    case Cause::mechanism_needs_tls:
    case Cause::mechanism_excluded:
    case Cause::no_mechanism:
      return "mechanism";
    default:
      return std::string(client::name(failure.step));
  }
}

void tell_certificate(ProbePart& part, const net::Certificate& certificate, const std::string& text, bool by_pin) {
  const auto left = std::chrono::floor<std::chrono::hours>(certificate.not_after - part.now()).count() / 24;
  const std::string days = std::to_string(left) + (left == 1 ? " day" : " days");
  const std::string how = by_pin ? "known by its pin; " : "chain and name are good; ";
  if (left >= k_few_days) return part.ok("certificate", how + text + ", " + days + " left");
  if (by_pin && certificate.not_after < part.now()) return part.ok("certificate", how + text + ", which has expired");
  part.warn("certificate", how + text + ", " + days + " left",
            "see to it that who runs the server renews it: when it has expired, nothing is fetched or sent any more");
}

void tell_reached(ProbePart& part, const Server& server, const client::Reached& reached) {
  const std::string step(client::name(reached.step));
  if (reached.certificate) {
    const bool by_pin = server.tls_context && server.tls_context->verification() == "pin";
    return tell_certificate(part, *reached.certificate, reached.text, by_pin);
  }
  part.ok(step, reached.text);
}

client::OnStep teller(ProbePart& part, const Server& server) {
  return [&part, &server](const client::Reached& reached) { tell_reached(part, server, reached); };
}

void tell_failure(ProbePart& part, const client::OpenFailure& failure, Outcome outcome) {
  const auto step = step_of(failure);
  // It is in its middle that the certificate is looked at.
  if (step == "certificate") part.pass_over("tls");
  part.failed(step, failure.text, outcome, failure.cause);
}

// False: there is no address to connect to.
Task<bool> look_up(const Server& server, net::Network& network, Outcome otherwise, Stop& stop, ProbePart& part) {
  if (!server.endpoint.socket_path.empty()) co_return true;
  const auto found = co_await network.addresses(server.endpoint, server.patience.connect, stop);
  if (found && !found->empty()) part.ok("name", joined(*found));
  part.pass_over("name");
  if (found) co_return true;
  const auto failure = client::wire_failure(client::Step::connect, found.error());
  part.failed("name", failure.text, otherwise, failure.cause);
  co_return false;
}

Task<> say_good_bye(client::Session& session, ProbePart& part) {
  const auto reply = co_await session.quit(k_farewell);
  if (reply)
    part.ok("quit", reply->joined());
  else
    part.warn("quit", reply.error().text);
}

std::string atrn_text(const FetchPlan& plan) {
  return plan.atrn_all ? std::string("ATRN") : "ATRN " + joined(plan.domains);
}

void tell_atrn(const client::Session& session, const FetchPlan& plan, ProbePart& part) {
  if (session.capabilities().has("ATRN"))
    return part.ok("atrn", "offered; a run would say " + atrn_text(plan) + ", which is not tried here");
  part.warn("atrn", "EHLO does not list it; a run says " + atrn_text(plan) + " all the same",
            "where runs end as protocol, this is no ODMR server, or the wrong port: write the provider's ODMR host and "
            "port (366, mostly) in " +
                part.scene().table);
}

void tell_etrn(const client::Session& session, const FetchPlan& plan, ProbePart& part) {
  std::string lines;
  for (const auto& node : plan.nodes) lines += (lines.empty() ? "ETRN " : ", ETRN ") + node;
  if (session.capabilities().has("ETRN"))
    part.ok("etrn", "offered; a run would say " + lines + ", which is not tried here");
  else
    part.failed("etrn", "the server does not offer ETRN in its reply to EHLO", Outcome::protocol, Cause::no_etrn);
}

void warn_in_clear_text(const Server& server, const std::string& tls, ProbePart& part) {
  if (!tls.empty() || !server.login) return;
  part.warn("tls", "not used: mail and login may be read, or changed, on the way",
            "write tls = \"starttls\" (or \"implicit\") in " + part.scene().table);
}

// --- the local target

// Refused because nobody has that name, and not because the domain is unknown or relaying denied.
bool is_about_the_mailbox(const smtp::Reply& reply) {
  const auto code = reply.enhanced();
  return code && code->status == 5 && code->subject == 1 && code->detail == 1;
}

void judge_recipient(const std::string& who, const smtp::Reply& reply, ProbePart& part) {
  const std::string text = "<" + who + ">: " + reply.joined();
  if (reply.is_positive()) return part.ok("rcpt", text);
  if (reply.is_transient())
    return part.warn("rcpt", text,
                     "mail that is put off so stays at the provider, and comes again: see the target's log");
  if (is_about_the_mailbox(reply)) {
    return part.warn("rcpt", text, "RFC 5321 4.5.1 wants each domain to take mail for postmaster: make that an alias");
  }
  part.failed("rcpt", text, Outcome::local_down, Cause::target_refuses_all);
}

// The dialogue with a target, transaction by transaction.
Task<> ask_for_each(deliver::SmtpTarget& target, const std::vector<std::string>& domains, ProbePart& part) {
  smtp::MailCommand mail;
  mail.reverse_path.is_null = true;
  for (const auto& domain : domains) {
    const auto mailbox = smtp::parse_mailbox("postmaster@" + domain);
    if (!mailbox) continue;
    const auto sender = co_await target.mail(mail);
    if (!sender.is_positive()) {
      part.failed("mail", "<>: " + sender.joined(), Outcome::local_down, Cause::greeting_refused);
      co_return;
    }
    smtp::RcptCommand rcpt;
    rcpt.forward_path.mailbox = *mailbox;
    const auto reply = co_await target.rcpt(rcpt);
    judge_recipient("postmaster@" + domain, reply, part);
    co_await target.abandon();
    // With it goes RSET.
    const auto ready = co_await target.ready();
    if (!ready) {
      part.failed("reset", ready.error().text, Outcome::local_down, ready.error().cause);
      co_return;
    }
  }
}

// --- mailboxes

// Looked at, and nothing is fetched, marked or deleted.
Task<Outcome> probe_mailbox(const FetchPlan& plan, net::Network& network, Log& log, Stop& stop, ProbePart& part) {
  const client::OnStep told = teller(part, plan.server);
  collect::Place place = plan.mailbox->place;
  place.is_read_only = true;
  auto opened = co_await collect::open(network, plan.server, place, log, stop, &told);
  if (!opened) {
    tell_failure(part, opened.error(), opened.error().outcome);
    co_return part.outcome();
  }
  warn_in_clear_text(plan.server, opened->tls, part);
  std::uint64_t messages = 0;
  bool has_names = true;
  const std::function<Result<void>(collect::Listed &&)> count = [&](collect::Listed&& one) {
    ++messages;
    has_names = has_names && !one.uid.empty();
    return Result<void>();
  };
  auto& mailbox = *opened->mailbox;
  const auto listed = co_await mailbox.list(plan.mailbox->unseen_only, false, count);
  const std::string there = std::to_string(messages) + (messages == 1 ? " message" : " messages") + " there";
  if (!listed) {
    part.failed("mailbox", listed.error().text, Outcome::unavailable, Cause::put_off);
    mailbox.leave();
    co_return part.outcome();
  }
  if (!has_names && plan.mailbox->keeping.leaves)
    part.failed("mailbox", there + ", but the server has no lasting names for them, so none can be left there",
                Outcome::config, Cause::configuration);
  else
    part.ok("mailbox",
            there + (plan.mailbox->keeping.leaves ? "; a run leaves them there" : "; a run deletes them there"));
  const auto closed = co_await mailbox.close();
  if (closed)
    part.ok("quit", "the server says good-bye");
  else
    part.warn("quit", closed.error().text);
  co_return part.outcome();
}

}  // namespace

void be_impatient(client::Patience& patience) {
  constexpr Duration most = std::chrono::seconds(30);
  patience.command = std::min(patience.command, most);
  patience.silence = std::min(patience.silence, most);
}

Task<Outcome> probe_provider(const FetchPlan& plan, net::Network& network, Log& log, Stop& stop,
                             const OnProbeStep& on_step) {
  auto head = head_of(With::provider, plan.server);
  head.provider = plan.provider;
  auto steps = steps_of(plan.server);
  steps.insert(steps.end(), {plan.mailbox ? "mailbox" : plan.only_asks ? "etrn" : "atrn", "quit"});
  const std::uint16_t port = plan.mailbox || plan.only_asks ? k_odmr_port : plan.server.endpoint.port;
  const Scene scene{With::provider, "[provider." + plan.provider + "]", port};
  ProbePart part(std::move(head), scene, std::move(steps), network.clock(), on_step);

  const bool is_found = co_await look_up(plan.server, network, Outcome::unavailable, stop, part);
  if (is_found && plan.mailbox) {
    co_await probe_mailbox(plan, network, log, stop, part);
  } else if (is_found) {
    const client::OnStep told = teller(part, plan.server);
    auto opened = co_await client::open(network, plan.server, log, stop, &told);
    if (opened) {
      warn_in_clear_text(plan.server, opened->tls, part);
      if (plan.only_asks)
        tell_etrn(opened->session, plan, part);
      else
        tell_atrn(opened->session, plan, part);
      co_await say_good_bye(opened->session, part);
    } else {
      tell_failure(part, opened.error(), opened.error().outcome);
    }
  }
  part.end();
  co_return part.outcome();
}

Task<Outcome> probe_signal(const FetchPlan& plan, net::Network& network, Stop& stop, const OnProbeStep& on_step) {
  Server server;
  server.endpoint = plan.signal->endpoint;
  server.patience = plan.server.patience;
  auto head = head_of(With::provider, server);
  head.provider = plan.provider;
  const Scene scene{With::provider, "[provider." + plan.provider + "]", k_odmr_port};
  ProbePart part(std::move(head), scene, {"name", "connect", "signal"}, network.clock(), on_step);
  const bool is_found = co_await look_up(server, network, Outcome::unavailable, stop, part);
  if (is_found) {
    auto stream = co_await network.connect(server.endpoint, server.patience.connect, stop);
    if (stream) {
      part.ok("connect", stream->peer());
      part.ok("signal", "a run would send it, which is not tried here");
      co_await stream->finish();
    } else {
      const auto failure = client::wire_failure(client::Step::connect, stream.error());
      part.failed("connect", failure.text, failure.outcome, failure.cause);
    }
  }
  part.end();
  co_return part.outcome();
}

Task<Outcome> probe_target(const deliver::TargetOptions& options, const std::string& table,
                           const std::vector<std::string>& domains, net::Network& network, Log& log, Stop& stop,
                           const OnProbeStep& on_step) {
  auto steps = steps_of(options.server);
  steps.emplace_back("rcpt");
  ProbePart part(head_of(With::target, options.server), Scene{With::target, table, 0}, std::move(steps),
                 network.clock(), on_step);
  const bool is_found = co_await look_up(options.server, network, Outcome::local_down, stop, part);
  if (is_found) {
    const client::OnStep told = teller(part, options.server);
    deliver::TargetOptions watched = options;
    watched.on_step = &told;
    deliver::SmtpTarget target(watched, network, log, stop);
    const auto ready = co_await target.ready();
    if (ready) {
      co_await ask_for_each(target, domains, part);
    } else {
      tell_failure(part, *target.failure(), Outcome::local_down);
    }
    co_await target.close();
  }
  part.end();
  co_return part.outcome();
}

Task<Outcome> probe_smart_host(const send::FlushOptions& options, net::Network& network, Log& log, Stop& stop,
                               const OnProbeStep& on_step) {
  // As the flush has it (contract): a connection that is refused, with whatever code, is for later.
  const auto outcome_of = [](const client::OpenFailure& failure) {
    const bool is_special = failure.outcome == Outcome::tls || failure.outcome == Outcome::auth;
    return is_special ? failure.outcome : Outcome::unavailable;
  };
  auto steps = steps_of(options.server);
  steps.emplace_back("quit");
  if (options.pop_before_smtp) steps.insert(steps.begin(), "pop");
  const Scene scene{With::smart_host, "[outbound]", options.server.endpoint.port};
  ProbePart part(head_of(With::smart_host, options.server), scene, std::move(steps), network.clock(), on_step);
  if (options.pop_before_smtp) {
    const auto failed = co_await send::log_in_by_pop(network, options.pop_before_smtp->server, log, stop);
    if (failed) {
      part.failed("pop", failed->text, outcome_of(*failed), failed->cause);
      part.end();
      co_return part.outcome();
    }
    part.ok("pop", "logged in at " + options.pop_before_smtp->server.endpoint.text());
  }
  const bool is_found = co_await look_up(options.server, network, Outcome::unavailable, stop, part);
  if (is_found) {
    const client::OnStep told = teller(part, options.server);
    auto opened = co_await client::open(network, options.server, log, stop, &told);
    if (opened) {
      warn_in_clear_text(options.server, opened->tls, part);
      co_await say_good_bye(opened->session, part);
    } else {
      tell_failure(part, opened.error(), outcome_of(opened.error()));
    }
  }
  part.end();
  co_return part.outcome();
}

}  // namespace odmr::app
