// odmr's whole session with a provider that may say anything, from the greeting to the turned line and on to further
// connections: it ends; the password is in nothing that goes out in clear text, nor in the log at trace level; where
// TLS is required, nothing but EHLO, STARTTLS and QUIT goes out before it; and segments make no difference.
//
// Scripts: the provider's first connection, the target's, the provider's further ones. Flags: 1 the target is LMTP; 2
// it does not offer PIPELINING (only then do segments make no difference); 4 TLS is required; 8 all mechanisms may log
// in (their nonces are chance: nothing is compared then).

#include "../conversation/certificates.hpp"
#include "app/fetch.hpp"
#include "base/ascii.hpp"
#include "input.hpp"
#include "peers.hpp"

using namespace odmr;
using net::Task;

namespace {

constexpr std::string_view k_password = "tanstaaftanstaaf";

class NoBounces final : public receive::BounceKeeper {
 public:
  Result<void> keep(const receive::BounceRecord& /*record*/) override { return {}; }
};

app::FetchPlan plan_of(const fuzz::Input& input) {
  app::FetchPlan plan;
  plan.provider = "isp";
  plan.session_id = "f";
  plan.scratch_directory = "/tmp";
  plan.hostname = plan.server.hostname = "mail.customer.example";
  plan.server.endpoint = net::Endpoint{"odmr.example.net", 366, {}};
  if ((input.flags & 4U) != 0) {
    plan.server.tls = client::TlsPolicy::starttls;
    plan.server.tls_context = conversation::client_context();
  }
  auto login = std::make_shared<client::Login>();
  login->user = "customer";
  login->password = Secret(std::string(k_password));
  if ((input.flags & 8U) == 0) login->filter = {sasl::Mechanism::cram_md5};
  plan.server.login = login;
  plan.domains = {"customer.example"};
  plan.max_sessions = 4;
  const bool lmtp = (input.flags & 1U) != 0;
  plan.target.kind = lmtp ? deliver::TargetOptions::Kind::lmtp : deliver::TargetOptions::Kind::smtp;
  plan.target.server.dialect = lmtp ? client::Dialect::lmtp : client::Dialect::smtp;
  plan.target.hostname = plan.target.server.hostname = plan.hostname;
  plan.target.server.endpoint = net::Endpoint{"localhost", 25, {}};
  return plan;
}

// Until a handshake begins. Its first byte is 22 (RFC 8446 5.1), which no command has.
void check_before_tls(std::string_view heard) {
  while (!heard.empty() && heard.front() != '\x16') {
    const auto end = heard.find("\r\n");
    const auto line = heard.substr(0, end);
    fuzz::require(line.starts_with("EHLO ") || line == "STARTTLS" || line == "QUIT", "no word before TLS");
    heard.remove_prefix(end == std::string_view::npos ? heard.size() : end + 2);
  }
}

Task<> run(const app::FetchPlan& plan, fuzz::Surroundings& world, journal::Journal& journal, Log& log,
           app::SessionReport& report) {
  NoBounces bounces;
  Stop stop;
  const app::Books books{system_files(), journal, bounces};
  report = co_await app::fetch(plan, world, books, nullptr, app::OnProgress(), log, stop);
}

std::string play(const fuzz::Input& input, std::size_t segment) {
  net::Simulation simulation;
  fuzz::Surroundings world(simulation, input, segment);
  const auto plan = plan_of(input);
  const auto disk = net::make_inline_worker();
  const auto journal =
      journal::Journal::in_memory(simulation.loop().get_executor(), *disk, simulation, silent_log()).value();
  fuzz::Remembering log;
  app::SessionReport report;
  fuzz::require(simulation.run(run(plan, world, *journal, log, report)), "the session ends");
  simulation.settle();

  std::string transcript = std::string(name(report.outcome)) + " " + report.reply.value_or("no reply") + "\n";
  std::string said;
  for (const auto& script : input.scripts) said += all_of(script);
  fuzz::require_silence(log.text, k_password, said, "no password in the log");
  for (const auto& provider : world.providers) {
    transcript += "provider:\n" + provider.heard();
    fuzz::require_silence(provider.heard(), k_password, said, "no password in clear text");
    if ((input.flags & 4U) != 0) {
      check_before_tls(provider.heard());
    } else {
      fuzz::require_clean(provider.heard());
    }
  }
  bool in_step = true;
  for (const auto& host : world.targets.all()) {
    transcript.append("target:\n").append(host.settled());
    fuzz::require_clean(host.heard());
    fuzz::require(host.heard().find("AUTH ") == std::string::npos || said.find("AUTH ") != std::string::npos,
                  "nobody logs in to the target");
    in_step = in_step && host.is_in_step();
  }
  fuzz::require(report.received.messages == 0 || (report.reply && report.reply->starts_with("250")),
                "no mail without a turn");
  const bool is_chance = (input.flags & 12U) != 0 || (input.flags & 2U) == 0;  // groups are what has arrived
  return in_step && !is_chance ? transcript : std::string();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::read_input(fuzz::text(data, size));
  if (input.scripts.empty()) return 0;
  const auto whole = play(input, net::Faults::k_never);
  if (!whole.empty()) fuzz::require_same(whole, play(input, input.segment));
  return 0;
}
