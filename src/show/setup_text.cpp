#include "show/setup_text.hpp"

#include <algorithm>

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

ordered_json text_or_null(const std::string& text) {
  return text.empty() ? ordered_json(nullptr) : ordered_json(escape(text, 2000));
}

// Columns, as far as letters have one each: what continues a UTF-8 sequence has none.
std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string as_json(const SetupReport& report) {
  ordered_json out;
  out["good"] = report.faults.empty() && report.outcome.value_or(Outcome::no_mail) == Outcome::no_mail;
  out["faults"] = list_of(report.faults);
  out["configuration"] = text_or_null(report.faults.empty() ? report.written.configuration : std::string());
  out["secret"] = text_or_null(report.faults.empty() ? report.written.secret : std::string());
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
  lines.push_back("Written: " + escape(written.configuration, 2000));
  return lines;
}

std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
  const auto indent = std::min(text.find_first_not_of(' '), text.size());
  if (width == 0 || columns(text) <= width) return {text};
  std::vector<std::string> lines;
  std::string line = text.substr(0, indent);
  bool is_begun = false;
  for (std::size_t at = indent; at < text.size();) {
    const auto end = std::min(text.find(' ', at), text.size());
    const auto word = text.substr(at, end - at);
    if (is_begun && columns(line) + 1 + columns(word) > width) {
      lines.push_back(line);
      line = text.substr(0, indent);
      is_begun = false;
    }
    line += (is_begun ? " " : "") + word;
    is_begun = true;
    at = std::min(end + 1, text.size());
  }
  lines.push_back(line);
  return lines;
}

}  // namespace odmr::show
