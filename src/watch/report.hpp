#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/file.hpp"
#include "watch/schedule.hpp"

namespace odmr::watch {

/// What a run tells the one who started it: a session has ended, or only that it lives.
struct Report {
  std::optional<Ending> ending;  ///< none: it lives
  std::string text;              ///< the session in words, on one line; may hold a stranger's
  bool waits = false;            ///< it lives, and merely waits for mail: k_enough would end it at once
  friend bool operator==(const Report&, const Report&) = default;
};

/// One packet.
inline constexpr std::size_t k_longest_report = 2048;
std::string to_packet(const Report& report);
/// Nothing for what is no report.
std::optional<Report> parse_packet(std::string_view packet);

/// The two ends of the way that reports take. Neither end ever waits for the other.
struct ReportLine {
  Descriptor ours;
  Descriptor of_run;
};
Result<ReportLine> make_report_line();
/// What cannot be sent is lost: a run does its work whether anybody listens or not.
void send_report(int of_run, const Report& report);
/// The next one that has come; nothing when there is none.
std::optional<Report> receive_report(int ours);

}  // namespace odmr::watch
