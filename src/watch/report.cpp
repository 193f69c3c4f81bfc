#include "watch/report.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <vector>

#include "base/ascii.hpp"

namespace odmr::watch {

namespace {

constexpr std::string_view k_alive = "alive";
constexpr std::string_view k_waits = "waits";
constexpr std::string_view k_ended = "ended";
constexpr std::string_view k_holds = "holds";
constexpr std::size_t k_longest_text = 1000;
constexpr auto k_longest_wait = std::chrono::hours(24 * 7);

std::vector<std::string_view> fields_of(std::string_view packet) {
  std::vector<std::string_view> fields;
  for (;;) {
    const auto end = packet.find('\0');
    fields.push_back(packet.substr(0, end));
    if (end == std::string_view::npos) return fields;
    packet.remove_prefix(end + 1);
  }
}

std::optional<Outcome> outcome_named(std::string_view word) {
  for (int i = 0; i <= static_cast<int>(Outcome::bug); ++i) {
    if (name(static_cast<Outcome>(i)) == word) return static_cast<Outcome>(i);
  }
  return std::nullopt;
}

std::string text_of(const std::optional<Duration>& wait) {
  if (!wait) return {};
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(std::max(*wait, Duration::zero())).count());
}

}  // namespace

std::string to_packet(const Report& report) {
  if (!report.ending) return std::string(report.waits ? k_waits : k_alive);
  std::string packet(k_ended);
  const auto add = [&packet](std::string_view field) {
    packet += '\0';
    packet += field;
  };
  add(report.ending->provider);
  add(name(report.ending->outcome));
  add(text_of(report.ending->not_before));
  add(report.ending->holds ? k_holds : std::string_view());
  add(escape(report.text, k_longest_text));
  return packet;
}

std::optional<Report> parse_packet(std::string_view packet) {
  if (packet == k_alive) return Report();
  if (packet == k_waits) return Report{std::nullopt, {}, true};
  const auto fields = fields_of(packet);
  if (fields.size() != 6 || fields[0] != k_ended) return std::nullopt;
  const auto outcome = outcome_named(fields[2]);
  const auto wait = parse_number(fields[3]);
  if (!outcome || (!wait && !fields[3].empty())) return std::nullopt;
  if (fields[4] != k_holds && !fields[4].empty()) return std::nullopt;
  Report report;
  auto& ending = report.ending.emplace();
  ending.provider = fields[1];
  ending.outcome = *outcome;
  if (wait)
    ending.not_before =
        std::min<Duration>(std::chrono::seconds(std::min<std::uint64_t>(*wait, 1U << 30U)), k_longest_wait);
  ending.holds = fields[4] == k_holds;
  report.text = escape(fields[5], k_longest_report);
  return report;
}

Result<ReportLine> make_report_line() {
  std::array<int, 2> ends{};
  // Packets keep their bounds, and the end of the run is the end of the line.
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0) {
    return fail(system_error(errno, "a line for a run's reports"));
  }
  return ReportLine{Descriptor(ends[0]), Descriptor(ends[1])};
}

void send_report(int of_run, const Report& report) {
  const std::string packet = to_packet(report);
  while (::send(of_run, packet.data(), packet.size(), MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

std::optional<Report> receive_report(int ours) {
  for (;;) {
    std::array<char, k_longest_report> bytes{};
    const ssize_t got = ::recv(ours, bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::nullopt;
    auto report = parse_packet(std::string_view(bytes.data(), static_cast<std::size_t>(got)));
    if (report) return report;
  }
}

}  // namespace odmr::watch
