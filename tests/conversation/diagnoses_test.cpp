#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "app/remedy.hpp"
#include "base/ascii.hpp"
#include "base/log.hpp"
#include "catalogue.hpp"
#include "show/probe_text.hpp"
#include "show/render.hpp"
#include "show/trace_reader.hpp"
#include "stage.hpp"

// What is printed when something fails: the words, word for word. ODMR_WRITE_GOLDEN=1 writes the files anew; then read
// them as the person would who is to act on them.

namespace odmr::conversation {

namespace {

std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(ODMR_TRANSCRIPTS).parent_path() / "diagnoses" / (name + ".golden");
}

std::string contents(const std::filesystem::path& path) {
  const std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// What differs from run to run: the keys of certificates, their dates, and the time.
std::string without_chance(std::string text) {
  static const std::regex pin("sha256:[A-Za-z0-9+/]{43}=");
  static const std::regex time(R"(\d{4}-\d\d-\d\d( \d\d:\d\d UTC)?)");
  static const std::regex days(R"(\d+ days? left)");
  text = std::regex_replace(text, pin, "sha256:PIN");
  text = std::regex_replace(text, days, "DAYS left");
  return std::regex_replace(text, time, "DATE");
}

void compare_with_golden(const std::string& name, const std::string& printed) {
  const auto path = golden(name);
  if (std::getenv("ODMR_WRITE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << printed;
  CHECK(contents(path) == printed);
}

// Beside those of transcripts: state_test, collect_test and the peers of tests/peers provoke these.
const std::set<Cause>& causes_of_this_host() {
  static const std::set<Cause> causes = {Cause::unknown,
                                         Cause::name_server_silent,
                                         Cause::host_unreachable,
                                         Cause::socket_missing,
                                         Cause::socket_denied,
                                         Cause::maildir_unusable,
                                         Cause::folder_refused,
                                         Cause::mail_left_there,
                                         Cause::line_not_up,
                                         Cause::locked,
                                         Cause::state_of_another_user,
                                         Cause::state_denied,
                                         Cause::state_unusable,
                                         Cause::watched,
                                         Cause::state_of_root,
                                         Cause::state_of_newer_version,
                                         Cause::state_open_to_others,
                                         Cause::configuration};
  return causes;
}

std::string why_it_differs(const std::vector<std::string>& mismatches, const std::vector<Event>& dialogue) {
  std::string out;
  for (const auto& one : mismatches) out += one + "\n";
  return out + written_out(dialogue);
}

}  // namespace

TEST_CASE("each cause is told in words that say what to do") {
  std::string printed;
  std::set<Cause> seen = causes_of_this_host();
  for (const auto& transcript : transcripts_beside("diagnoses/causes.txt")) {
    const auto performance = perform(transcript);
    INFO(transcript.name << "\n" << why_it_differs(performance.mismatches, performance.dialogue));
    CHECK(performance.ended);
    CHECK(performance.mismatches.empty());
    const auto& report = performance.report;
    const std::string title = transcript.name.substr(transcript.name.find('/') + 1);
    // The title begins with the cause that is to come out.
    const std::string cause(name(report.cause));
    CHECK((title.starts_with(cause) || title.starts_with("target: " + cause)));
    CHECK_FALSE(report.remedy.empty());
    seen.insert(report.cause);
    printed += "== " + title + "\n" + without_chance(show::in_words(report)) + "\n";
  }
  for (int i = 0; i <= static_cast<int>(k_last_cause); ++i) {
    INFO(name(static_cast<Cause>(i)));
    CHECK(seen.count(static_cast<Cause>(i)) == 1);
  }
  compare_with_golden("causes", printed);
}

TEST_CASE("a failure is one line, whatever the server says in it") {
  for (const auto& transcript : transcripts_beside("diagnoses/causes.txt")) {
    const auto words = show::in_words(perform(transcript).report);
    INFO(words);
    const bool has_control = std::any_of(words.begin(), words.end(), [](char c) { return is_control(c); });
    CHECK_FALSE(has_control);
  }
}

TEST_CASE("odmr probe says what works, what does not, and what to change") {
  std::string printed;
  for (const auto& transcript : transcripts_beside("diagnoses/probe.txt")) {
    const auto performed = perform_probe(transcript);
    INFO(transcript.name << "\n" << why_it_differs(performed.mismatches, performed.dialogue));
    CHECK(performed.ended);
    CHECK(performed.mismatches.empty());
    CHECK(name(performed.outcome) == transcript.expectation.outcome);
    for (const auto& secret : unspeakable(transcript)) CHECK(performed.log.find(secret) == std::string::npos);
    for (const auto& event : performed.dialogue) CHECK_FALSE(event.bytes.starts_with("ATRN"));
    printed += "== " + transcript.name.substr(transcript.name.find('/') + 1) + "\n";
    std::string heading;
    for (const auto& step : performed.steps) {
      if (show::heading_of(step) != heading) printed += show::heading_of(step) + "\n";
      heading = show::heading_of(step);
      printed += without_chance(show::in_words(step)) + "\n";
      for (const auto& secret : unspeakable(transcript)) CHECK(show::as_json(step).find(secret) == std::string::npos);
    }
  }
  compare_with_golden("probe", printed);
}

TEST_CASE("a trace explains its session as the session's own report does") {
  for (const auto& transcript : all_transcripts()) {
    const auto performance = perform(transcript);
    app::Explainer explainer;
    for (const auto& line : performance.trace) explainer.add(line);
    const auto told = explainer.explain();
    INFO(transcript.name);
    REQUIRE(told.size() == 1);
    CHECK(told.front().outcome == performance.report.outcome);
    CHECK(told.front().cause == performance.report.cause);
    CHECK(told.front().remedy == performance.report.remedy);
  }
}

TEST_CASE("a trace that is cut off anywhere is never explained by another outcome") {
  std::size_t told_without_end = 0;
  for (const auto& file : {"diagnoses/causes.txt"}) {
    for (const auto& transcript : transcripts_beside(file)) {
      const auto performance = perform(transcript);
      app::Explainer explainer;
      for (const auto& line : performance.trace) {
        if (line.event == "session over") break;
        explainer.add(line);
      }
      const auto told = explainer.explain();
      INFO(transcript.name << ": " << (told.empty() ? "" : told.front().text));
      if (told.empty() || !told.front().outcome) continue;
      ++told_without_end;
      // Of the local target a trace that is cut off does not know that it was one.
      if (performance.report.outcome == Outcome::local_down) continue;
      CHECK(told.front().outcome == performance.report.outcome);
    }
  }
  CHECK(told_without_end >= 10);
}

TEST_CASE("no trace shows what only the two ends may know") {
  const std::regex challenge("line=334 (?!\\*\\*\\*\\*\\*)");
  std::size_t challenges = 0;
  for (const auto& transcript : all_transcripts()) {
    const auto performance = perform(transcript);
    INFO(transcript.name);
    CHECK_FALSE(std::regex_search(performance.log, challenge));
    if (performance.log.find("334 *****") != std::string::npos) ++challenges;
    for (const auto& secret : unspeakable(transcript)) CHECK(performance.log.find(secret) == std::string::npos);
  }
  CHECK(challenges > 100);
}

}  // namespace odmr::conversation
