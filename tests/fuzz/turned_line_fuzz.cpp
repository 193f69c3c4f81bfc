// The turned line: a provider that may send anything, and a local target that may answer anything. Whatever comes, the
// session ends, nothing half-read is delivered, each 250 to a message stands for one that the target has taken, and the
// size of the segments in which it all arrives makes no difference to a single byte that we say, unless the target
// takes groups of commands, which are what has arrived.
//
// Scripts: the provider, then the target's connections. Flags: 1 the target is LMTP; 2 it does not offer PIPELINING.

#include <algorithm>

#include "base/ascii.hpp"
#include "input.hpp"
#include "net/worker.hpp"
#include "peers.hpp"
#include "receive/reception.hpp"

using namespace odmr;
using net::Task;

namespace {

constexpr std::string_view k_domain = "@customer.example>";

class NoBounces final : public receive::BounceKeeper {
 public:
  Result<void> keep(const receive::BounceRecord& record) override {
    fuzz::require(!record.failed.empty(), "a bounce is about somebody");
    ++kept;
    return {};
  }
  std::size_t kept = 0;
};

Task<> customer(net::Stream stream, receive::Reception& reception, deliver::Connections& connections, Stop& stop,
                server::SessionEnd& end) {
  server::MailSessionOptions options;
  options.hostname = "mail.customer.example";
  deliver::Target& target = connections.first();
  const auto ready = co_await target.ready();
  if (ready) {
    options.offer.size = target.abilities().size;
    options.offer.smtputf8 = target.abilities().smtputf8;
    options.offer.dsn = target.abilities().dsn;
  }
  end = co_await server::serve_mail(std::move(stream), reception, options, silent_log(), stop);
  co_await connections.close();
}

void check_commands(const fuzz::Host& host) {
  if (!host.is_in_step()) return;
  for (const auto& command : host.commands()) {
    if (!lower(command).starts_with("rcpt to:")) continue;
    const std::string path = lower(command.substr(0, command.find('>') + 1));
    fuzz::require(path == "rcpt to:<postmaster>" || path.find(k_domain) != std::string::npos,
                  "nobody outside the domains is asked for");
    fuzz::require(path.find_first_of("%!") == std::string::npos, "nothing is routed onwards");
  }
}

// What the target has taken is what the provider has finished, behind our trace.
void check_messages(const fuzz::Host& host, const std::vector<std::string>& finished) {
  if (!host.is_in_step()) return;
  for (const auto& message : host.messages()) {
    const auto is_it = [&](const std::string& one) {
      const auto& content = message.content;
      return content.starts_with("Received: ") && content.ends_with(one) &&
             content.substr(0, content.size() - one.size()).ends_with("\r\n");
    };
    fuzz::require(std::any_of(finished.begin(), finished.end(), is_it), "nothing half-read, and no byte changed");
  }
}

// Gives all that can be told apart from outside. Nothing where the target says more than it is asked for: whether that
// is noticed before our next command depends on when it comes.
std::string play(const fuzz::Input& input, std::size_t segment) {
  net::Simulation simulation;
  fuzz::Hosts network(simulation, input, 1, segment, (input.flags & 1U) != 0);
  deliver::TargetOptions target_options;
  const bool lmtp = (input.flags & 1U) != 0;
  target_options.kind = lmtp ? deliver::TargetOptions::Kind::lmtp : deliver::TargetOptions::Kind::smtp;
  target_options.server.dialect = lmtp ? client::Dialect::lmtp : client::Dialect::smtp;
  target_options.server.hostname = target_options.hostname = "mail.customer.example";
  Stop stop;
  const deliver::Connections::Make make = [&](Stop& own) {
    return deliver::make_target(target_options, network, system_files(), silent_log(), own);
  };
  deliver::Connections connections(1, make, silent_log(), stop);
  const auto disk = net::make_inline_worker();
  const auto journal =
      journal::Journal::in_memory(simulation.loop().get_executor(), *disk, simulation, silent_log()).value();

  NoBounces bounces;
  const receive::Guard guard({"customer.example"});
  receive::ReceptionOptions options;
  options.hostname = "mail.customer.example";
  options.provider = "isp";
  options.provider_address = "192.0.2.1:366";
  options.connection = "f";
  options.scratch_directory = "/tmp";
  receive::History history(5);
  receive::Reception reception(options, history, guard, connections, *journal, bounces, nullptr, system_files(),
                               simulation, silent_log());

  net::Faults faults;
  faults.largest_read = segment;
  auto line = net::memory_line(simulation, "192.0.2.1:366", "customer", faults);
  net::Stream stream(std::move(line.first), simulation);
  fuzz::Talker provider(simulation, input.scripts.front());
  simulation.start(provider.play(std::move(line)));
  server::SessionEnd end;
  fuzz::require(simulation.run(customer(std::move(stream), reception, connections, stop, end)), "the session ends");
  simulation.settle();

  fuzz::require_clean(provider.heard());
  fuzz::require_lines(provider.heard(), 512);
  const auto finished = fuzz::finished_messages(all_of(input.scripts.front()));
  std::string transcript = "provider:\n" + provider.heard();
  std::size_t taken = 0;
  bool in_step = true;
  for (const auto& host : network.all()) {
    transcript.append("target:\n").append(host.settled());
    fuzz::require_clean(host.heard());
    check_commands(host);
    check_messages(host, finished);
    in_step = in_step && host.is_in_step();
    for (const auto& message : host.messages()) taken += message.is_taken() ? 1 : 0;
  }
  const auto& tally = reception.counter().tally();
  if (in_step) fuzz::require(tally.messages <= taken, "each 250 is a message that the target has taken");
  fuzz::require(tally.messages <= finished.size(), "and that the provider has finished");
  for (const auto count : {tally.messages, tally.recipients, tally.bytes, tally.rejected, tally.deferred,
                           tally.duplicates, std::uint64_t{bounces.kept}}) {
    transcript += std::to_string(count) + " ";
  }
  // How much of a group is there when it begins is what the target hears in one, if it takes groups.
  const bool takes_groups = (input.flags & 2U) == 0;
  if (!in_step || takes_groups) return {};
  return transcript + std::to_string(static_cast<int>(end.how)) + " " + end.text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::read_input(fuzz::text(data, size));
  if (input.scripts.empty()) return 0;
  const auto whole = play(input, net::Faults::k_never);
  if (!whole.empty()) fuzz::require_same(whole, play(input, input.segment));
  return 0;
}
