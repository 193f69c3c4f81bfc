#include "show/setup_text.hpp"

#include "base/ascii.hpp"
#include "show/json.hpp"
#include "show/probe_text.hpp"

namespace odmr::show {

namespace {

ordered_json list_of(const std::vector<std::string>& texts) {
  ordered_json list = ordered_json::array();
  for (const auto& text : texts) list.push_back(escape(text, 2000));
  return list;
}

}  // namespace

std::string as_json(const SetupReport& report) {
  ordered_json out;
  out["good"] = report.faults.empty() && report.outcome.value_or(Outcome::no_mail) == Outcome::no_mail;
  out["faults"] = list_of(report.faults);
  out["configuration"] = text_or_null(report.faults.empty() ? report.written.configuration : std::string());
  out["secret"] = text_or_null(report.faults.empty() ? report.written.secret : std::string());
  out["further"] = list_of(report.faults.empty() ? report.written.further : std::vector<std::string>());
  out["deliver"] = text_or_null(report.deliver);
  out["backups"] = list_of(report.written.backups);
  out["notes"] = list_of(report.notes);
  out["outcome"] = report.outcome ? ordered_json(name(*report.outcome)) : ordered_json(nullptr);
  out["steps"] = ordered_json::array();
  for (const auto& step : report.steps) out["steps"].push_back(json_of(step));
  out["command"] = text_or_null(report.command);
  return line_of_json(out);
}

std::vector<std::string> in_words(const app::SetupWritten& written) {
  std::vector<std::string> lines;
  for (const auto& backup : written.backups) lines.push_back("Kept what was there: " + escape(backup, 2000));
  if (!written.secret.empty()) lines.push_back("Written: " + escape(written.secret, 2000));
  for (const auto& secret : written.further) lines.push_back("Written: " + escape(secret, 2000));
  lines.push_back("Written: " + escape(written.configuration, 2000));
  return lines;
}

}  // namespace odmr::show
