// odmr's whole session with a mailbox server that may say anything: it ends; the password is in nothing that goes out,
// nor in the log at trace level; no word of ours carries another with it; nothing is deleted there that the target has
// not taken, and nothing at all where it is to be left; and segments make no difference to what the target hears.
//
// Scripts: the server's first connection, the target's, the server's further ones. Flags: 1 the target is LMTP; 2 it
// does not offer PIPELINING (only then do segments make no difference); 4 IMAP; 8 mail is left there; 16 a mailbox of
// many; 32 only what is unseen, and it is marked.

#include "app/collect.hpp"
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

app::MailboxPlan mailbox_of(const fuzz::Input& input) {
  app::MailboxPlan mailbox;
  const bool is_imap = (input.flags & 4U) != 0;
  mailbox.place.protocol = is_imap ? collect::Protocol::imap : collect::Protocol::pop3;
  mailbox.keeping.leaves = (input.flags & 8U) != 0;
  mailbox.unseen_only = mailbox.marks_seen = is_imap && (input.flags & 32U) != 0;
  mailbox.place.is_read_only = mailbox.keeping.leaves && !mailbox.marks_seen;
  mail::MailboxPolicy policy;
  if ((input.flags & 16U) != 0)
    policy.envelope = {{"Delivered-To", 1, "mbox-"}};
  else
    policy.only = {smtp::Mailbox{"anna", "customer.example"}};
  policy.domains = {"customer.example"};
  policy.own_hosts = {"mail.customer.example"};
  mailbox.addressing = collect::by_policy(std::move(policy), true);
  return mailbox;
}

app::FetchPlan plan_of(const fuzz::Input& input) {
  app::FetchPlan plan;
  plan.provider = "isp";
  plan.session_id = "f";
  plan.scratch_directory = "/tmp";
  plan.hostname = plan.server.hostname = "mail.customer.example";
  plan.server.endpoint = net::Endpoint{"mailbox.example.net", 110, {}};
  auto login = std::make_shared<client::Login>();
  login->user = "customer";
  login->password = Secret(std::string(k_password));
  login->filter = {sasl::Mechanism::cram_md5};
  plan.server.login = login;
  plan.domains = {"customer.example"};
  plan.max_sessions = 4;
  const bool lmtp = (input.flags & 1U) != 0;
  plan.target.kind = lmtp ? deliver::TargetOptions::Kind::lmtp : deliver::TargetOptions::Kind::smtp;
  plan.target.server.dialect = lmtp ? client::Dialect::lmtp : client::Dialect::smtp;
  plan.target.hostname = plan.target.server.hostname = plan.hostname;
  plan.target.server.endpoint = net::Endpoint{"localhost", 25, {}};
  plan.mailbox = mailbox_of(input);
  return plan;
}

Task<> run(const app::FetchPlan& plan, fuzz::Surroundings& world, journal::Journal& journal, Log& log,
           app::SessionReport& report) {
  NoBounces bounces;
  Stop stop;
  const app::Books books{system_files(), journal, bounces};
  report = co_await app::collect_mail(plan, world, books, app::OnProgress(), log, stop);
}

// Messages that were to be deleted, in all connections.
std::size_t deletions_in(std::string_view heard, bool is_imap) {
  const std::string_view command = is_imap ? "+FLAGS.SILENT (\\Deleted)\r\n" : "DELE ";
  std::size_t count = 0;
  for (auto at = heard.find(command); at != std::string_view::npos; at = heard.find(command, at + 1)) ++count;
  return count;
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

  std::string said;
  for (const auto& script : input.scripts) said += all_of(script);
  fuzz::require_silence(log.text, k_password, said, "no password in the log");
  std::size_t deletions = 0;
  for (const auto& server : world.providers) {
    fuzz::require_silence(server.heard(), k_password, said, "no password in clear text");
    fuzz::require_clean(server.heard());
    deletions += deletions_in(server.heard(), (input.flags & 4U) != 0);
  }
  std::string transcript;
  std::size_t taken = 0;
  bool in_step = true;
  for (const auto& host : world.targets.all()) {
    transcript.append("target:\n").append(host.settled());
    fuzz::require_clean(host.heard());
    in_step = in_step && host.is_in_step();
    for (const auto& message : host.messages()) taken += message.is_taken() ? 1 : 0;
  }
  const auto known = report.received.messages + report.received.duplicates;
  // What a line took with it that was to be deleted, the next one is told again.
  fuzz::require(deletions <= known * world.providers.size(), "nothing is deleted that was not delivered");
  fuzz::require(deletions == 0 || taken > 0 || !in_step, "nothing is deleted that nobody has taken");
  fuzz::require(deletions == 0 || !plan.mailbox->keeping.leaves, "nothing is deleted that is to be left");
  return in_step && (input.flags & 2U) != 0 ? transcript : std::string();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::read_input(fuzz::text(data, size));
  if (input.scripts.empty()) return 0;
  const auto whole = play(input, net::Faults::k_never);
  if (!whole.empty()) fuzz::require_same(whole, play(input, input.segment));
  return 0;
}
