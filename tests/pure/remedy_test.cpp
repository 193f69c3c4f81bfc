#include "app/remedy.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "app/doubts.hpp"

using namespace odmr;

namespace {

std::filesystem::path manual() {
  return std::filesystem::path(ODMR_REPOSITORY) / "man/odmr.1";
}

std::string contents(const std::filesystem::path& path) {
  const std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Lines of at most 80 bytes, each beginning with a word.
std::string wrapped(const std::string& text) {
  std::istringstream words(text);
  std::string out;
  std::size_t width = 0;
  for (std::string word; words >> word; width += word.size()) {
    const bool fits = width + 1 + word.size() <= 80;
    if (width > 0) out += fits ? " " : "\n";
    width = width > 0 && fits ? width + 1 : 0;
    out += word;
  }
  return out + "\n";
}

std::string capitalized(std::string text) {
  if (!text.empty() && text.front() >= 'a' && text.front() <= 'z') text.front() = static_cast<char>(text.front() - 32);
  return text;
}

// As odmr(1) has it: an item for each cause, below its outcome.
std::string as_mdoc() {
  std::string out = ".Bl -tag -width Ds\n";
  for (const auto& one : app::diagnoses()) {
    out += ".It Sy " + std::string(name(one.outcome)) + " , Cm " + std::string(name(one.cause)) + "\n";
    out += wrapped(capitalized(one.remedy) + ".");
    if (!one.for_target.empty()) out += "The local target:\n" + wrapped(one.for_target + ".");
  }
  return out + ".El\n";
}

std::string between(const std::string& text, const std::string& begin, const std::string& end) {
  const auto from = text.find(begin);
  const auto to = text.find(end);
  if (from == std::string::npos || to == std::string::npos) return {};
  return text.substr(from + begin.size(), to - from - begin.size());
}

}  // namespace

TEST_CASE("Every cause has a word of its own, which names it", "[remedy]") {
  std::set<std::string_view> words;
  for (int i = 0; i <= static_cast<int>(k_last_cause); ++i) {
    const auto cause = static_cast<Cause>(i);
    CAPTURE(name(cause));
    CHECK(words.insert(name(cause)).second);
    CHECK(cause_named(name(cause)) == cause);
  }
  CHECK_FALSE(cause_named("no such cause"));
}

TEST_CASE("Every cause has a remedy, on one line, and every outcome that is a failure has one without a cause",
          "[remedy]") {
  std::set<Cause> told;
  for (const auto& one : app::diagnoses()) {
    CAPTURE(name(one.cause));
    CHECK(told.insert(one.cause).second);
    CHECK(exit_status(one.outcome) != 0);
    for (const auto& text : {one.remedy, one.for_target}) {
      CHECK(text.find('\n') == std::string::npos);
      CHECK(text.find('{') == std::string::npos);
      CHECK_FALSE(text.ends_with('.'));
    }
  }
  // All but `unknown`.
  CHECK(told.size() == static_cast<std::size_t>(k_last_cause));
  for (int i = 0; i <= static_cast<int>(Outcome::bug); ++i) {
    const auto outcome = static_cast<Outcome>(i);
    if (outcome == Outcome::locked) continue;  // which has one cause
    CAPTURE(name(outcome));
    CHECK(app::remedy(outcome, Cause::unknown, app::Scene()).empty() == (exit_status(outcome) == 0));
  }
}

TEST_CASE("A remedy names the table, the port that is a slip, and the pin that was shown", "[remedy]") {
  app::Scene scene{app::With::provider, "[provider.isp]", 386};
  const auto refused = app::remedy(Outcome::unavailable, Cause::connection_refused, scene);
  CHECK(refused.find("[provider.isp]") != std::string::npos);
  CHECK(refused.find("write port = 366") != std::string::npos);
  scene.port = 366;
  CHECK(app::remedy(Outcome::unavailable, Cause::connection_refused, scene).find("366") == std::string::npos);
  // Of a target's port nothing is known.
  scene.with = app::With::target;
  CHECK(app::remedy(Outcome::local_down, Cause::connection_refused, scene).find("366") == std::string::npos);

  const std::string pin = "sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  scene.with = app::With::provider;
  // What a certificate says of itself comes before our own words.
  const std::string said = "not accepted (issued by CN=public key sha256:BBBB, public key " + pin + ")";
  CHECK(app::remedy(Outcome::tls, Cause::certificate_of_unknown_issuer, scene, said).find("\"" + pin + "\"") !=
        std::string::npos);
}

TEST_CASE("A port that is hardly meant is doubted, and no other", "[remedy]") {
  app::Settings settings;
  for (const int port : {386, 587, 366, 50366}) {
    app::ProviderSettings provider;
    provider.name = "isp";
    provider.endpoint.port = static_cast<std::uint16_t>(port);
    settings.providers.push_back(provider);
  }
  const auto doubts = app::doubts_about(settings);
  REQUIRE(doubts.size() == 2);
  CHECK(doubts.front() == "[provider.isp] port = 386: Exim's manual has it by a slip; ODMR is on port 366");
  CHECK(doubts.back().starts_with("[provider.isp] port = 587: "));
}

TEST_CASE("DIAGNOSTICS in odmr(1) is the program's own table", "[manual]") {
  const std::string begin = ".\\\" The table of app/remedy.cpp; ODMR_WRITE_MANUAL=1 makes the tests write it.\n";
  const std::string end = ".\\\" The end of the table.\n";
  auto text = contents(manual());
  if (std::getenv("ODMR_WRITE_MANUAL") != nullptr) {
    const auto from = text.find(begin);
    const auto to = text.find(end);
    REQUIRE(from != std::string::npos);
    text = text.substr(0, from + begin.size()) + as_mdoc() + text.substr(to);
    std::ofstream(manual()) << text;
  }
  CHECK(between(text, begin, end) == as_mdoc());
}
