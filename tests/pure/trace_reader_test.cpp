#include "show/trace_reader.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <random>
#include <sstream>

#include "base/ascii.hpp"
#include "base/log.hpp"
#include "temporary_directory.hpp"

using namespace odmr;
using test::TemporaryDirectory;

namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

const app::TraceLine& read(std::optional<app::TraceLine>& line) {
  REQUIRE(line);
  return *line;
}

// What the log really writes, by the log itself.
std::vector<std::string> written(LogFormat format, const std::function<void(Log&)>& say) {
  const TemporaryDirectory folder;
  const std::string path = folder.path() + "/log";
  const int kept = dup(STDERR_FILENO);
  const int file = open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  dup2(file, STDERR_FILENO);
  say(*make_stderr_log(Level::trace, format));
  dup2(kept, STDERR_FILENO);
  close(file);
  close(kept);
  std::ifstream lines(path);
  std::vector<std::string> all;
  for (std::string line; std::getline(lines, line);) all.push_back(line);
  return all;
}

}  // namespace

TEST_CASE("A trace is read as the log has written it, in both formats", "[explain]") {
  for (const auto format : {LogFormat::text, LogFormat::json}) {
    const auto lines = written(format, [](Log& log) {
      log.trace(">", {{"session", "5e55"}, {"peer", "192.0.2.1:366"}, {"line", "ATRN a.example,b.example"}});
      log.trace("<", {{"session", "5e55"}, {"line", "450 4.7.1 \"not yours\" a=b c \x1b[31m"}});
      log.debug("session over", {{"outcome", "refused"}, {"text", ""}});
      log.info("no fields at all");
    });
    REQUIRE(lines.size() == 4);
    auto first = show::read_trace_line(lines[0]);
    CHECK(read(first).event == ">");
    CHECK(first->field("session") == "5e55");
    CHECK(first->field("line") == "ATRN a.example,b.example");
    auto second = show::read_trace_line(lines[1]);
    CHECK(read(second).field("line") == "450 4.7.1 \"not yours\" a=b c \\x1b[31m");
    auto third = show::read_trace_line(lines[2]);
    CHECK(read(third).event == "session over");
    CHECK(third->field("text").empty());
    CHECK(third->field("outcome") == "refused");
    auto fourth = show::read_trace_line(lines[3]);
    CHECK(read(fourth).event == "no fields at all");
  }
}

TEST_CASE("What journald and syslog put in front of a line does not matter", "[explain]") {
  auto line = show::read_trace_line(
      R"(Jan 31 10:00:00 host odmr[4711]: trace: < session=5e55 peer=192.0.2.1:366 line="450 4.7.1 no")");
  CHECK(read(line).event == "<");
  CHECK(line->field("line") == "450 4.7.1 no");
  CHECK_FALSE(show::read_trace_line("Jan 31 10:00:00 host sshd[1]: something else"));
}

TEST_CASE("A trace without its end is explained by the last answer", "[explain]") {
  app::Explainer explainer;
  for (const auto* line : {
           R"(trace: < session=1 provider=isp peer=127.0.0.1:25 line="220 mta ESMTP")",
           R"(trace: > session=1 provider=isp peer=127.0.0.1:25 line="EHLO me")",
           R"(trace: < session=1 provider=isp peer=127.0.0.1:25 line="250 mta")",
           R"(trace: < session=1 provider=isp peer=192.0.2.1:386 line="220 isp ESMTP")",
           R"(trace: > session=1 provider=isp peer=192.0.2.1:386 line="AUTH PLAIN *****")",
           R"(trace: < session=1 provider=isp peer=192.0.2.1:386 line="235 2.7.0 welcome")",
           R"(trace: > session=1 provider=isp peer=192.0.2.1:386 line="ATRN a.example")",
           R"(trace: < session=1 provider=isp peer=192.0.2.1:386 line="502 5.5.1 what?")",
           R"(trace: > session=1 provider=isp peer=192.0.2.1:386 line=QUIT)",
           R"(trace: < session=1 provider=isp peer=192.0.2.1:386 line="221 bye")",
       }) {
    CHECK(show::take_trace_line(line, explainer));
  }
  const auto told = explainer.explain();
  REQUIRE(told.size() == 1);
  CHECK(told.front().outcome == Outcome::protocol);
  CHECK(told.front().cause == Cause::no_odmr);
  CHECK(told.front().text.find("502 5.5.1 what?") != std::string::npos);
  CHECK(told.front().remedy.find("[provider.isp]") != std::string::npos);
  CHECK(told.front().remedy.find("366") != std::string::npos);
}

TEST_CASE("What odmr run has printed among the lines of its log counts too", "[explain]") {
  app::Explainer explainer;
  CHECK(show::take_trace_line("debug: session begins session=1 provider=isp server=odmr.example.net:366", explainer));
  CHECK(show::take_trace_line("isp: unavailable: odmr.example.net: has no address. What to do: something", explainer));
  CHECK_FALSE(show::take_trace_line("isp: no mail", explainer));
  auto told = explainer.explain();
  REQUIRE(told.size() == 1);
  CHECK(told.front().outcome == Outcome::unavailable);
  CHECK(told.front().text == "odmr.example.net: has no address");

  CHECK(show::take_trace_line(
      R"({"session":"2","provider":"isp","outcome":"tls","exit":76,"text":"no","cause":"not-tls"})", explainer));
  told = explainer.explain();
  REQUIRE(told.size() == 2);
  CHECK(told.back().cause == Cause::not_tls);
}

TEST_CASE("Any bytes at all can be read for a trace", "[explain]") {
  std::mt19937 random(Catch::rngSeed() + 1);
  const std::vector<std::string> words = {
      "trace: ", "< ",     "> ",         "session=", "peer=", "line=",   "\"",   "\\",
      "{",       "}",      "\"event\":", "ATRN ",    "250 ",  "450",     " ",    "=",
      "\xff",    "334 x ", "AUTH ",      "isp: ",    "tls: ", "error: ", "1234", "QUIT"};
  app::Explainer explainer;
  for (int i = 0; i < 20000; ++i) {
    std::string line;
    const auto length = random() % 20;
    for (unsigned j = 0; j < length; ++j) {
      if (random() % 8 == 0)
        line += static_cast<char>(random() % 256);
      else
        line += words[random() % words.size()];
    }
    (void)show::take_trace_line(line, explainer);
  }
  for (const auto& told : explainer.explain()) CHECK(told.text.size() <= 4100);
}

TEST_CASE("Of more sessions than anybody reads the last are kept", "[explain]") {
  app::Explainer explainer;
  for (int i = 0; i < 1000; ++i)
    (void)show::take_trace_line("debug: session begins session=" + std::to_string(i) + " provider=isp", explainer);
  const auto told = explainer.explain();
  CHECK(told.size() == 100);
  CHECK(told.front().session == "900");
  CHECK(explainer.left_out() == 900);
}
