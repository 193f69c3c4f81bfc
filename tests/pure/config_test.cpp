#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>

#include "config/document.hpp"
#include "config/units.hpp"
#include "temporary_directory.hpp"

using namespace odmr;
using namespace odmr::config;
using namespace std::chrono_literals;
using odmr::test::TemporaryDirectory;

namespace {

using Lines = std::vector<std::string>;

Document parse(const std::string& text) {
  auto document = Document::parse(text, "/etc/odmr.toml");
  if (!document) throw std::runtime_error(document.error().render());
  return std::move(*document);
}

// The faults as people see them, after `read` has asked for what it wants.
Lines faults(const std::string& text, const std::function<void(Table)>& read) {
  Document document = parse(text);
  read(document.root());
  Lines lines;
  for (const auto& fault : document.faults()) lines.push_back(fault.render());
  return lines;
}

std::string syntax_fault(const std::string& text) {
  const auto document = Document::parse(text, "f");
  return document ? "none" : document.error().render();
}

}  // namespace

TEST_CASE("values come as what they are asked for") {
  Document document = parse(R"(
hostname = "mail.example.org"
[log]
level = "debug"
[watch]
interval = "2h"
often = true
[provider.isp]
port = 366
limit = "50MiB"
plain = 1000
domains = ["example.org", "example.com"]
none = []
up = "pon isp"
down = ["poff", "isp"]
)");
  Table root = document.root();
  CHECK(root.text("hostname") == "mail.example.org");
  CHECK(root.text("hostname", "other") == "mail.example.org");
  CHECK(root.text("absent") == std::nullopt);
  CHECK(root.text("absent", "other") == "other");
  CHECK(root.required_text("hostname", "h") == "mail.example.org");
  CHECK(root.table("log").choice<int>("level", {{"info", 1}, {"debug", 2}}, 1) == 2);
  CHECK(root.table("log").choice<int>("format", {{"text", 3}, {"json", 4}}, 3) == 3);
  CHECK(root.table("watch").duration("interval", 5min) == 2h);
  CHECK(root.table("watch").duration("pause", 5min) == 5min);
  CHECK(root.table("watch").boolean("often", false));
  CHECK(root.table("watch").boolean("seldom", false) == false);
  CHECK_FALSE(root.table("outbound").is_there());
  CHECK(root.table("outbound").text("to") == std::nullopt);

  const auto providers = root.tables("provider");
  REQUIRE(providers.size() == 1);
  const Table& isp = providers[0];
  CHECK(isp.name() == "isp");
  CHECK(isp.integer("port", 25, {1, 65535}) == 366);
  CHECK(isp.integer("other", 25, {1, 65535}) == 25);
  CHECK(isp.integer("other", {1, 65535}) == std::nullopt);
  CHECK(isp.size("limit") == std::uint64_t{50} * 1024 * 1024);
  CHECK(isp.size("plain", 5) == 1000);
  CHECK(isp.size("least", 5) == 5);
  CHECK(isp.texts("domains") == Lines{"example.org", "example.com"});
  CHECK(isp.texts("none") == Lines{});
  CHECK(isp.texts("some", {"x"}) == Lines{"x"});
  CHECK(isp.command("up") == Lines{"/bin/sh", "-c", "pon isp"});
  CHECK(isp.command("down") == Lines{"poff", "isp"});
  CHECK(isp.command("neither") == std::nullopt);
  CHECK(document.faults().empty());
}

TEST_CASE("what was asked for can be told, names left out") {
  Document document = parse("[provider.a]\n[provider.b.deliver]\n");
  document.root().text("hostname");
  for (const auto& provider : document.root().tables("provider")) {
    provider.text("host");
    provider.table("deliver").text("to");
  }
  CHECK(document.keys() ==
        Lines{"hostname", "provider", "provider.NAME.deliver", "provider.NAME.deliver.to", "provider.NAME.host"});
}

TEST_CASE("durations") {
  CHECK(parse_duration("500ms") == 500ms);
  CHECK(parse_duration("0s") == 0s);
  CHECK(parse_duration("90s") == 90s);
  CHECK(parse_duration("5m") == 5min);
  CHECK(parse_duration("2h") == 2h);
  CHECK(parse_duration("5d") == 120h);
  const std::string plain = R"( is no duration; write a whole number and a unit: "90s", "5m", "2h" or "5d")";
  for (const std::string text : {"5 minutes", "1.5h", "-5s", "", "s", "5M", " 5s", "5s ", "1h30m", "+5s", "5 s", "5w",
                                 "99999999999999999999s"}) {
    CAPTURE(text);
    CHECK(parse_duration(text).error().text == "\"" + text + "\"" + plain);
  }
  CHECK(parse_duration("90").error().text == R"("90" has no unit; write "90s", or m, h, d for the s)");
  CHECK(parse_duration("9999999999999d").error().text == R"("9999999999999d" is too long)");
  for (const char* text : {"500ms", "90s", "5m", "2h", "5d", "36h"})
    CHECK(to_text(parse_duration(text).value()) == text);
  CHECK(to_text(0s) == "0s");
}

TEST_CASE("sizes") {
  CHECK(parse_size("0B") == 0);
  CHECK(parse_size("100B") == 100);
  CHECK(parse_size("64KiB") == 65536);
  CHECK(parse_size("50MiB") == 52428800);
  CHECK(parse_size("2GiB") == 2147483648);
  CHECK(parse_size("1TiB") == 1099511627776);
  for (const char* text : {"50MB", "50M", "50mb", "50 MiB", "50mib", "50m"}) {
    CHECK(parse_size(text).error().text == "\"" + std::string(text) + R"(" is no size; write "50MiB")");
  }
  const std::string plain = R"( is no size; write a whole number and a unit: "64KiB", "50MiB" or "2GiB")";
  for (const std::string text : {"1000", "", "MiB", "-5MiB", "1.5MiB", "5XiB", "99999999999999999999B"}) {
    CHECK(parse_size(text).error().text == "\"" + text + "\"" + plain);
  }
  CHECK(parse_size("9999999TiB").error().text == R"("9999999TiB" is too large)");
}

TEST_CASE("values of a wrong type") {
  CHECK(faults("a = 1\nb = [\"x\"]\nc = 1.5\nd = true\ne = 2026-01-31\n[f]\n",
               [](Table t) {
                 for (const char* key : {"a", "b", "c", "d", "e", "f"}) t.text(key);
               }) == Lines{"/etc/odmr.toml:1:5: a: a whole number stands here; a text in quotes is needed",
                           "/etc/odmr.toml:2:5: b: a list stands here; a text in quotes is needed",
                           "/etc/odmr.toml:3:5: c: a number with a fraction stands here; a text in quotes is needed",
                           "/etc/odmr.toml:4:5: d: true or false stands here; a text in quotes is needed",
                           "/etc/odmr.toml:5:5: e: a date or time stands here; a text in quotes is needed",
                           "/etc/odmr.toml:6:1: f: a table stands here; a text in quotes is needed"});
  CHECK(faults("a = \"yes\"\n", [](Table t) { t.boolean("a", true); }) ==
        Lines{"/etc/odmr.toml:1:5: a: a text stands here; true or false, without quotes, is needed"});
  CHECK(faults("a = \"366\"\nb = 70000\nc = 0\n",
               [](Table t) {
                 for (const char* key : {"a", "b", "c"}) t.integer(key, {1, 65535});
               }) == Lines{"/etc/odmr.toml:1:5: a: a text stands here; a whole number, without quotes, is needed",
                           "/etc/odmr.toml:2:5: b: 70000 is out of range; 1 to 65535 is possible",
                           "/etc/odmr.toml:3:5: c: 0 is out of range; 1 to 65535 is possible"});
  CHECK(faults("log = \"debug\"\nprovider = 5\n[p]\nq = 1\n",
               [](Table t) {
                 CHECK_FALSE(t.table("log").is_there());
                 t.tables("provider");
                 CHECK(t.tables("p").empty());
               }) == Lines{"/etc/odmr.toml:1:7: log: a text stands here; a table: [log] is needed",
                           "/etc/odmr.toml:2:12: provider: a whole number stands here; a table: [provider] is needed",
                           "/etc/odmr.toml:4:5: p.q: a whole number stands here; a table: [p.NAME] is needed"});
}

TEST_CASE("texts that would do harm") {
  CHECK(faults("a = \"\"\nb = \"x\\r\\nMAIL\"\nc = [\"ok\", \"\\u0000\", 5]\n",
               [](Table t) {
                 CHECK(t.text("a") == std::nullopt);
                 CHECK(t.text("b") == std::nullopt);
                 CHECK(t.texts("c") == std::nullopt);
               }) == Lines{"/etc/odmr.toml:1:5: a: an empty text stands here; write a value, or leave the key out",
                           "/etc/odmr.toml:2:5: b: a control character stands in the text; take it out",
                           "/etc/odmr.toml:3:12: c: a control character stands in the text; take it out",
                           "/etc/odmr.toml:3:22: c: a whole number stands here; a text in quotes is needed"});
}

TEST_CASE("wrong durations and sizes") {
  CHECK(
      faults("a = 90\nb = \"1.5h\"\nc = \"0s\"\nd = \"9000d\"\ne = true\nf = \"1s\"\n",
             [](Table t) {
               for (const char* key : {"a", "b", "c", "d", "e"}) CHECK(t.duration(key, 7s) == 7s);
               CHECK(t.duration("f", 7min, {1min, 1h}) == 7min);
             }) ==
      Lines{
          R"(/etc/odmr.toml:1:5: a: 90 has no unit; write "90s", or m, h, d for the s)",
          R"(/etc/odmr.toml:2:5: b: "1.5h" is no duration; write a whole number and a unit: "90s", "5m", "2h" or "5d")",
          R"(/etc/odmr.toml:3:5: c: "0s" is too short; 1ms is the least)",
          R"(/etc/odmr.toml:4:5: d: "9000d" is too long; 3650d is the most)",
          R"(/etc/odmr.toml:5:5: e: true or false stands here; a duration: "90s", "5m", "2h" or "5d" is needed)",
          R"(/etc/odmr.toml:6:5: f: "1s" is too short; 1m is the least)"});
  CHECK(faults("a = \"50MB\"\nb = -1\nc = 5\n",
               [](Table t) {
                 CHECK(t.size("a") == std::nullopt);
                 CHECK(t.size("b", 7) == 7);
                 CHECK(t.size("c", 700, {512, 1024}) == 700);
               }) ==
        Lines{R"(/etc/odmr.toml:1:5: a: "50MB" is no size; write "50MiB")",
              R"(/etc/odmr.toml:2:5: b: a whole number stands here; a size: "64KiB", "50MiB" or "2GiB" is needed)",
              "/etc/odmr.toml:3:5: c: 5 bytes are out of range; 512 to 1024 are possible"});
}

TEST_CASE("wrong lists, choices and commands") {
  CHECK(faults("a = \"example.org\"\nb = 5\n",
               [](Table t) {
                 t.texts("a");
                 t.texts("b");
               }) == Lines{R"(/etc/odmr.toml:1:5: a: a text stands here; a list: ["example.org"] is needed)",
                           R"(/etc/odmr.toml:2:5: b: a whole number stands here; a list: ["…"] is needed)"});
  CHECK(faults("tls = \"startls\"\n",
               [](Table t) {
                 CHECK(t.choice<int>("tls", {{"starttls", 1}, {"implicit", 2}, {"none", 3}}, 1) == 1);
               }) ==
        Lines{R"(/etc/odmr.toml:1:7: tls: "startls" is not known here; write one of "starttls", "implicit", "none")"});
  CHECK(faults("a = \"\"\nb = []\nc = [\"poff\", 1]\nd = 5\ne = \" \"\n",
               [](Table t) {
                 for (const char* key : {"a", "b", "c", "d", "e"}) CHECK(t.command(key) == std::nullopt);
               }) ==
        Lines{"/etc/odmr.toml:1:5: a: an empty command stands here; write one, or leave the key out",
              "/etc/odmr.toml:2:5: b: an empty command stands here; write one, or leave the key out",
              "/etc/odmr.toml:3:14: c: a whole number stands here; a text in quotes is needed",
              "/etc/odmr.toml:4:5: d: a whole number stands here; a command, as a text for sh or as a list, is needed",
              "/etc/odmr.toml:5:5: e: an empty command stands here; write one, or leave the key out"});
  CHECK(faults("up = '''\npon isp\nsleep 2'''\n", [](Table t) {
          CHECK(t.command("up") == Lines{"/bin/sh", "-c", "pon isp\nsleep 2"});
        }) == Lines{});
}

TEST_CASE("unknown keys, and what was meant") {
  const auto read = [](const Table& root) {
    root.text("hostname");
    root.table("log").text("level");
    for (const auto& table : root.tables("listen")) {
      table.text("address");
      table.text("tls");
    }
    root.table("watch").duration("interval", 5min);
  };
  CHECK(faults("hostnam = \"x\"\n[listen.odmr]\nadress = \"x\"\nTLS = \"x\"\n[listen.\"a b\"]\nadd-ress = 1\n", read) ==
        Lines{"/etc/odmr.toml:1:1: hostnam: unknown key 'hostnam', did you mean 'hostname'?",
              "/etc/odmr.toml:3:1: listen.odmr.adress: unknown key 'adress', did you mean 'address'?",
              "/etc/odmr.toml:4:1: listen.odmr.TLS: unknown key 'TLS', did you mean 'tls'?",
              "/etc/odmr.toml:6:1: listen.\"a b\".add-ress: unknown key 'add-ress', did you mean 'address'?"});
  CHECK(
      faults("interval = \"5m\"\n[log]\nhostname = \"x\"\nzzz = 1\n[wacth]\ninterval = 1\n[xyz]\na = 1\n", read) ==
      Lines{
          "/etc/odmr.toml:1:1: interval: unknown key 'interval', did you mean 'watch.interval'?",
          "/etc/odmr.toml:3:1: log.hostname: unknown key 'hostname', did you mean 'hostname' before the first [table]?",
          "/etc/odmr.toml:4:1: log.zzz: unknown key 'zzz'",
          "/etc/odmr.toml:5:2: wacth: unknown key 'wacth', did you mean 'watch'?",
          "/etc/odmr.toml:7:2: xyz: unknown key 'xyz'"});
  CHECK(faults("\"\\u001b[2J\" = 1\n", read) == Lines{"/etc/odmr.toml:1:1: \"\\x1b[2J\": unknown key '\\x1b[2J'"});
}

TEST_CASE("all faults of a file come at once, in its order") {
  CHECK(faults("[provider.isp]\nport = \"x\"\nhosst = \"h\"\ntls = 5\n[deliver]\nto = 5\n",
               [](Table root) {
                 root.table("deliver").text("to");
                 root.table("outbound").fault("to", "missing");
                 for (const auto& provider : root.tables("provider")) {
                   provider.text("tls");
                   provider.integer("port", 366, {1, 65535});
                   provider.required_text("host", "odmr.example.net");
                   provider.fault("tls", "once more");
                   provider.text("tls");
                 }
               }) ==
        Lines{"/etc/odmr.toml:1:1: outbound.to: missing",
              "/etc/odmr.toml:1:1: provider.isp.host: missing; write host = \"odmr.example.net\"",
              "/etc/odmr.toml:2:8: provider.isp.port: a text stands here; a whole number, without quotes, is needed",
              "/etc/odmr.toml:3:1: provider.isp.hosst: unknown key 'hosst', did you mean 'host'?",
              "/etc/odmr.toml:4:7: provider.isp.tls: a whole number stands here; a text in quotes is needed",
              "/etc/odmr.toml:4:7: provider.isp.tls: once more",
              "/etc/odmr.toml:6:6: deliver.to: a whole number stands here; a text in quotes is needed"});
}

TEST_CASE("what is no TOML is one fault, with its place, and without a password") {
  CHECK(syntax_fault("a = 1\nb = = 2\n").substr(0, 18) == "f:2:5: not TOML: E");
  CHECK(syntax_fault("a = 1\na = 2\n").substr(0, 16) == "f:2:5: not TOML:");
  CHECK(syntax_fault("a = \"\xff\"\n").substr(0, 14) == "f:1:5: not TOM");
  CHECK(syntax_fault("x = 1\n password = 99999999999999999999999\n").find("999") == std::string::npos);
  CHECK(syntax_fault("password = hunter2\n").find("hunter") == std::string::npos);
  CHECK(syntax_fault("password = hunter2\n") == "f:1:12: not TOML; a text stands in quotes: key = \"text\"");
  CHECK(syntax_fault("to = /dir\n") ==
        "f:1:6: not TOML: Error while parsing value: could not determine value type; a text stands in quotes: key = "
        "\"text\"");
  CHECK(syntax_fault("") == "none");
}

TEST_CASE("a file that cannot be read is one fault") {
  const TemporaryDirectory directory;
  const auto why = [&](const std::string& name) { return Document::load(directory / name).error().render(); };
  CHECK(why("none") == directory / "none" + ": cannot be read: No such file or directory");
  CHECK(why("") == directory / "" + ": cannot be read: it is a directory");
  test::write_file(directory / "large", std::string(1'048'577, '#'));
  CHECK(why("large") == directory / "large" + ": cannot be read: more than 1048576 bytes");
  test::write_file(directory / "good", "a = \"x\"\n");
  auto document = Document::load(directory / "good");
  REQUIRE(document);
  CHECK(document->root().text("a") == "x");
  CHECK(document->root().file() == directory / "good");
  CHECK(document->root().file_status()->kind == FileKind::regular);
}

TEST_CASE("paths begin at the configuration file") {
  const std::string home = ::getenv("HOME");
  CHECK(faults("a = \"/x/y\"\nb = \"y/z\"\nc = \"~/y\"\nd = 1\n", [&](Table t) {
          CHECK(t.path("a") == "/x/y");
          CHECK(t.path("b") == "/etc/y/z");
          CHECK(t.path("c") == home + "/y");
          CHECK(t.path("d") == std::nullopt);
          CHECK(t.path("e") == std::nullopt);
        }) == Lines{"/etc/odmr.toml:4:5: d: a whole number stands here; a file's name in quotes is needed"});
}

TEST_CASE("a document can be moved while its tables are in use") {
  Document document = parse("a = 1\n");
  const Table root = document.root();
  const Document moved = std::move(document);
  CHECK(root.integer("a", {0, 5}) == 1);
  CHECK(moved.faults().empty());
}
