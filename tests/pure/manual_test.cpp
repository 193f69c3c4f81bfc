// The manuals, the README and the examples against what the program knows: keys of the configuration, outcomes and
// exit statuses. (tests/manual does the same for the options.)

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "app/provider_settings.hpp"
#include "app/settings.hpp"
#include "base/outcome.hpp"

using namespace odmr;

namespace {

using Names = std::set<std::string>;
using Row = std::pair<std::string, std::string>;

std::filesystem::path repository() {
  return std::filesystem::path(ODMR_REPOSITORY);
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  INFO(path.string());
  REQUIRE(!text.str().empty());
  return text.str();
}

std::vector<std::string> lines_of(const std::filesystem::path& path) {
  std::istringstream text(contents(path));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> found;
  for (std::string word; stream >> word;) found.push_back(word);
  return found;
}

// The keys that a manual documents: `.It Ic KEY No =` below a comment `.\" table: NAME…` that says whose they are.
Names keys_in_manual(const std::string& name) {
  const std::string table_comment = ".\\\" table: ";
  const std::regex item(R"(\.It Ic (\S+) No = .*)");
  Names keys;
  std::vector<std::string> tables;
  for (const auto& line : lines_of(repository() / "man" / name)) {
    std::smatch match;
    if (line.starts_with(".Sh ") || line.starts_with(".Ss ")) {
      tables.clear();
    } else if (line.starts_with(table_comment)) {
      tables = words(line.substr(table_comment.size()));
    } else if (std::regex_match(line, match, item)) {
      INFO("a key outside any table: " << line);
      REQUIRE(!tables.empty());
      for (const auto& table : tables) keys.insert(table == "-" ? match.str(1) : table + "." + match.str(1));
    }
  }
  return keys;
}

// What the reader asked for, without the tables themselves.
Names keys_of(const config::Document& document) {
  const auto asked = document.keys();
  Names keys;
  for (const auto& key : asked) {
    const bool is_table =
        std::any_of(asked.begin(), asked.end(), [&](const std::string& other) { return other.starts_with(key + "."); });
    if (!is_table) keys.insert(key);
  }
  return keys;
}

Names without(const Names& from, const Names& what) {
  Names rest;
  std::set_difference(from.begin(), from.end(), what.begin(), what.end(), std::inserter(rest, rest.end()));
  return rest;
}

void check_same(const Names& documented, const Names& read) {
  CHECK(without(documented, read) == Names());  // in the manual alone
  CHECK(without(read, documented) == Names());  // in the program alone
}

std::vector<Row> outcomes() {
  std::vector<Row> rows;
  for (int i = 0; i <= static_cast<int>(Outcome::bug); ++i) {
    const auto outcome = static_cast<Outcome>(i);
    rows.emplace_back(name(outcome), std::to_string(exit_status(outcome)));
  }
  return rows;
}

// Two capture groups, the outcome and its status, of each line that matches.
std::vector<Row> rows_in(const std::filesystem::path& path, const std::string& pattern) {
  const std::regex row(pattern);
  std::vector<Row> rows;
  for (const auto& line : lines_of(path)) {
    std::smatch match;
    if (std::regex_match(line, match, row)) rows.emplace_back(match.str(1), match.str(2));
  }
  return rows;
}

}  // namespace

TEST_CASE("odmr.toml(5) documents every key that odmr reads, and no other", "[manual]") {
  auto document = config::Document::parse(
      "[deliver]\n[provider.one]\n[provider.one.deliver]\n[provider.one.signal]\n[outbound.pop_before_smtp]\n",
      "odmr.toml");
  REQUIRE(document);
  static_cast<void>(app::read_settings(*document));
  check_same(keys_in_manual("odmr.toml.5"), keys_of(*document));
}

TEST_CASE("odmrd.toml(5) documents every key that odmrd reads, and no other", "[manual]") {
  auto document = config::Document::parse(
      "[listen.one]\n[intake.one]\n[customer.one]\n[customer.one.etrn]\n[outbound]\n", "odmrd.toml");
  REQUIRE(document);
  static_cast<void>(app::read_daemon_settings(*document, app::Depth::keys));
  check_same(keys_in_manual("odmrd.toml.5"), keys_of(*document));
}

TEST_CASE("The outcomes and their exit statuses in odmr(1) are the program's, in its order", "[manual]") {
  CHECK(rows_in(repository() / "man/odmr.1", R"(\.It Sy (\S+) Pq (\d+))") == outcomes());
}

TEST_CASE("The outcomes and their exit statuses in README.md are the program's, in its order", "[manual]") {
  CHECK(rows_in(repository() / "README.md", R"(\| `([a-z-]+)` \|.*\| (\d+) \|)") == outcomes());
}

TEST_CASE("The configurations in examples/ have no fault", "[manual]") {
  std::size_t seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(repository() / "examples")) {
    if (entry.path().extension() != ".toml") continue;
    ++seen;
    INFO(entry.path().string());
    auto document = config::Document::load(entry.path().string());
    REQUIRE(document);
    if (entry.path().filename().string().starts_with("odmrd")) {
      static_cast<void>(app::read_daemon_settings(*document, app::Depth::keys));
    } else {
      static_cast<void>(app::read_settings(*document));
    }
    std::vector<std::string> faults;
    for (const auto& fault : document->faults()) {
      // The files that it names are another machine's.
      if (fault.text.find("No such file") == std::string::npos) faults.push_back(fault.render());
    }
    CHECK(faults == std::vector<std::string>());
  }
  CHECK(seen >= 3);
}
