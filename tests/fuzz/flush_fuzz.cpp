// The outbound queue's flush into a smart host that may answer anything: it ends; each message counted as sent is one
// that the host has taken, whole; none is taken twice unless an answer was lost; what was not sent still waits; and
// segments make no difference.
//
// Scripts: the host's connections. Flags: 2 no PIPELINING; 4 there are two messages.

#include <map>

#include "../conversation/smart_host.hpp"
#include "input.hpp"
#include "peers.hpp"

using namespace odmr;

namespace {

constexpr const char* k_bodies[] = {"one\r\n.dot\r\n", "two\r\n"};

net::Task<> run(test::PostOffice& office, net::Network& network, send::FlushReport& report) {
  const send::OnFlushProgress nobody;
  report = co_await send::flush(office.options, *office.queue, network, *office.disk, nobody, office.log, office.stop);
}

std::string play(const fuzz::Input& input, std::size_t segment) {
  test::PostOffice office;
  const std::size_t messages = (input.flags & 4U) != 0 ? 2 : 1;
  for (std::size_t i = 0; i < messages; ++i) {
    office.put(std::to_string(i), {"b@example.net", "c@example.net"}, k_bodies[i]);
  }
  office.open_queue();
  fuzz::Hosts hosts(office.simulation, input, 0, segment, false);
  send::FlushReport report;
  fuzz::require(office.simulation.run(run(office, hosts, report)), "the flush ends");
  office.simulation.settle();

  std::string transcript = std::string(name(report.outcome)) + "\n";
  std::map<std::string, std::size_t> taken;
  bool in_step = true;
  for (const auto& host : hosts.all()) {
    transcript.append("host:\n").append(host.settled());
    fuzz::require_clean(host.heard());
    fuzz::require_lines(host.heard(), 1000);
    in_step = in_step && host.is_in_step();
    for (const auto& message : host.messages()) {
      if (message.is_taken()) ++taken[message.content];
    }
  }
  if (in_step) {
    std::size_t all = 0;
    for (const auto& [content, times] : taken) {
      fuzz::require(content == std::string("Subject: 0\r\n\r\n") + k_bodies[0] ||
                        content == std::string("Subject: 1\r\n\r\n") + k_bodies[1],
                    "messages come as they are");
      all += times;
    }
    fuzz::require(report.tally.messages <= all, "what counts as sent was taken");
  }
  const auto left = office.entries().size();
  fuzz::require(left + report.tally.messages + report.tally.bounced >= messages, "what was not sent still waits");
  return in_step ? transcript + std::to_string(left) + " left" : std::string();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::read_input(fuzz::text(data, size));
  if (input.scripts.empty()) return 0;
  const auto whole = play(input, net::Faults::k_never);
  if (!whole.empty()) fuzz::require_same(whole, play(input, input.segment));
  return 0;
}
