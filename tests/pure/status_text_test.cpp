#include "show/status_text.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "app/report_file.hpp"
#include "show/metrics.hpp"
#include "temporary_directory.hpp"

using namespace odmr;
using namespace odmr::app;
using std::chrono::hours;
using test::TemporaryDirectory;

namespace {

const WallTime k_now = WallTime(std::chrono::seconds(1'800'000'000));

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

ProviderStatus provider(const std::string& name, Outcome outcome, Cause cause, const std::string& text) {
  ProviderStatus status;
  status.provider = name;
  status.is_configured = true;
  status.last = journal::SessionReceipt{"5f0c1e9ab27d", name, k_now - hours(3), std::nullopt};
  status.last->end.emplace();
  status.last->end->time = k_now - hours(3);
  status.last->end->outcome = outcome;
  status.last->end->cause = cause;
  status.last->end->text = text;
  if (exit_status(outcome) == 0) status.last_good = status.last;
  return status;
}

journal::ConnectionReceipt shown(const std::string& verified, WallTime until) {
  journal::ConnectionReceipt connection;
  connection.address = "192.0.2.1:366";
  connection.verified = verified;
  connection.certificate_until = until;
  return connection;
}

std::vector<std::string> texts(const Status& status) {
  std::vector<std::string> texts;
  QueuePlace place;
  place.state_dir = "/";
  for (const auto& one : troubles_of(status, place, k_now)) texts.push_back(one.with + ": " + one.text);
  return texts;
}

// A bit of everything.
Status full() {
  Status status;
  status.providers.push_back(provider("isp", Outcome::fetched, Cause::unknown, {}));
  status.providers.back().sessions = 12;
  status.providers.back().received = {{0, 3, 30}, {1, 1, 10}, {29, 6, 60}};
  status.providers.push_back(provider("b\"\\\n\xff", Outcome::auth, Cause::login_refused, "535 5.7.8 no"));
  status.providers.back().last_certificate = shown("pin", k_now + hours(24 * 20));
  status.outbound.last.emplace();
  status.outbound.last->server = "smtp.example.net:587";
  status.outbound.last->ended = k_now;
  status.outbound.last_certificate = status.outbound.last;
  status.outbound.last_certificate->certificate_until = k_now - hours(1);
  status.outbound.sent = {{6, 2, 20}};
  status.waiting.outbound.emplace();
  status.waiting.outbound->messages = 2;
  status.waiting.outbound->bytes = 4096;
  status.waiting.outbound->oldest = k_now - hours(30);
  status.waiting.kept = status.waiting.outbound;
  status.totals = {{"", "messages", "", 9},
                   {"", "sessions", "sent", 4},
                   {"isp", "messages", "", 7},
                   {"isp", "sessions", "fetched", 5},
                   {"gone", "messages", "", 1}};
  QueuePlace place;
  place.state_dir = "/";
  status.troubles = troubles_of(status, place, k_now);
  return status;
}

}  // namespace

TEST_CASE("status: a chart has a column a day, the oldest on the left", "[status]") {
  const std::vector<journal::Day> days{{0, 16, 0}, {1, 1, 0}, {28, 8, 0}, {29, 15, 0}};
  CHECK(show::chart(days, false) == "95..........................19");
  CHECK(show::chart(days, true) == "\u2588\u2585..........................\u2581\u2588");
  CHECK(show::chart({}, true) == std::string(30, '.'));
  CHECK(show::chart({{5, 1, 0}}, false) == "........................9.....");
  CHECK(show::chart({{30, 1, 0}}, false) == std::string(30, '.'));  // longer ago than it shows
}

TEST_CASE("status: what is wrong now", "[status]") {
  Status status;
  CHECK(texts(status).empty());

  status.providers.push_back(provider("isp", Outcome::no_mail, Cause::unknown, {}));
  status.providers.push_back(provider("gone", Outcome::auth, Cause::login_refused, "535 no"));
  status.providers.back().is_configured = false;
  CHECK(texts(status).empty());

  SECTION("a configuration that no run begins with") {
    QueuePlace place;
    place.faults = {"odmr.toml:3:1: hots: unknown key"};
    CHECK(troubles_of(status, place, k_now).front().text == "odmr.toml:3:1: hots: unknown key");
    place.faults.emplace_back("odmr.toml:4:1: prot: unknown key");
    CHECK(troubles_of(status, place, k_now).front().text == "odmr.toml:3:1: hots: unknown key (and 1 more)");
  }
  SECTION("a session that failed, and what to do about it") {
    status.providers.front() = provider("isp", Outcome::auth, Cause::login_refused, "535 no");
    CHECK(texts(status) == std::vector<std::string>{"isp: auth: 535 no"});
    CHECK_FALSE(troubles_of(status, {}, k_now).front().remedy.empty());
  }
  SECTION("what to do is about the right server, the right table and the right port") {
    QueuePlace place;
    const auto advice = [&](Outcome outcome, Cause cause) {
      status.providers.front() = provider("isp", outcome, cause, "no");
      return troubles_of(status, place, k_now).front().remedy;
    };
    CHECK(advice(Outcome::unavailable, Cause::connection_refused).find("ODMR is on port") == std::string::npos);
    place.places["isp"] = {366, "[provider.isp.deliver]"};
    CHECK(advice(Outcome::unavailable, Cause::connection_refused).find("ODMR is on port") == std::string::npos);
    CHECK(advice(Outcome::local_down, Cause::connection_refused) ==
          "start the local mail server, or correct \"to\" in [provider.isp.deliver]");
    place.places["isp"] = {587, "[deliver]"};
    CHECK(advice(Outcome::unavailable, Cause::connection_refused).find("and not 587") != std::string::npos);
    CHECK(advice(Outcome::local_down, Cause::connection_refused).find("\"to\" in [deliver]") != std::string::npos);
    place.state_dir = "/srv/odmr";
    CHECK(advice(Outcome::state, Cause::state_of_another_user).find("chown -R USER: /srv/odmr") != std::string::npos);
  }
  SECTION("a flush that put mail off") {
    status.outbound.last.emplace();
    status.outbound.last->outcome = Outcome::deferred;
    CHECK(texts(status) == std::vector<std::string>{"outbound: deferred: some mail was put off"});
    status.outbound.last->outcome = Outcome::sent;
    CHECK(texts(status).empty());
  }
  SECTION("mail that waits too long") {
    status.waiting.kept.emplace();
    status.waiting.kept->messages = 1;
    status.waiting.kept->oldest = k_now - hours(24);
    CHECK(texts(status).empty());
    status.waiting.kept->oldest = k_now - hours(25);
    CHECK(texts(status) == std::vector<std::string>{"kept: the oldest of 1 message has waited for 25 hours"});
  }
  SECTION("mail that somebody has to look at") {
    status.waiting.outbound.emplace();
    status.waiting.outbound->undeliverable = 1;
    status.waiting.outbound->set_aside = 2;
    CHECK(texts(status) == std::vector<std::string>{"queue: 1 message cannot be delivered, and nobody can be told",
                                                    "queue: 2 messages damaged, and set aside in corrupt/"});
  }
  SECTION("a certificate near its end") {
    auto& certificate = status.providers.front().last_certificate;
    certificate = shown("chain", k_now + hours(14 * 24 + 1));
    CHECK(texts(status).empty());
    certificate = shown("chain", k_now + hours(14 * 24));
    CHECK(texts(status) == std::vector<std::string>{"isp: the certificate of 192.0.2.1:366 ends in 14 days"});
    certificate = shown("chain", k_now + hours(47));
    CHECK(texts(status) == std::vector<std::string>{"isp: the certificate of 192.0.2.1:366 ends in 1 day"});
    certificate = shown("chain", k_now - hours(1));
    CHECK(texts(status) == std::vector<std::string>{"isp: the certificate of 192.0.2.1:366 has ended"});
  }
  SECTION("one that is pinned is said earlier, and what to do is another thing") {
    status.providers.front().last_certificate = shown("chain and pin", k_now + hours(30 * 24));
    const auto troubles = troubles_of(status, {}, k_now);
    REQUIRE(troubles.size() == 1);
    CHECK(troubles.front().remedy.find("odmr probe") != std::string::npos);
  }
}

TEST_CASE("status: the words fit a narrow terminal, and a stranger's are escaped", "[status]") {
  const auto lines = show::in_words(full(), k_now, false);
  std::string all;
  for (const auto& line : lines) {
    CHECK(line.find_first_of("\n\xff") == std::string::npos);
    all += line + "\n";
    // What we lay out ourselves; sentences may wrap.
    if (line.starts_with("received") || line.starts_with("sent") || line.starts_with("messages"))
      CHECK(line.size() <= 40);
  }
  CHECK(all.find("\nreceived          3        4       10\n") != std::string::npos);
  CHECK(all.find("\nsent              0        2        2\n") != std::string::npos);
  CHECK(all.find("\noutbound queue: 2 messages (4.0 KiB)\n  the oldest came 30 h ago\n") != std::string::npos);
  CHECK(all.find("\nwrong now:\n") != std::string::npos);
}

TEST_CASE("status: without anything there is nothing to say but that", "[status]") {
  Status status;
  status.providers.emplace_back().provider = "isp";
  status.providers.back().is_configured = true;
  CHECK(show::in_words(status, k_now, true) == std::vector<std::string>{"isp: no session yet"});
}

// The rules of the exposition format, as its collector checks them.
TEST_CASE("metrics: every sample has its help and type above it, once, and a name by the conventions", "[status]") {
  const std::string text = show::metrics(full(), "0.1.0");
  const std::regex sample(
      R"re(([a-z_]+)(\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z]+="(?:[^"\\\n]|\\["\\n])*")*\})? (-?\d+))re");
  std::map<std::string, std::string> types;
  std::set<std::string> samples;
  std::string now;
  REQUIRE(text.ends_with('\n'));
  for (const auto& line : lines_of(text)) {
    INFO(line);
    std::istringstream words(line);
    std::string hash, what, name, type;
    if (line.starts_with("# ")) {
      words >> hash >> what >> name >> type;
      if (what == "TYPE") {
        CHECK(types.emplace(name, type).second);
        CHECK((type == "gauge" || type == "counter"));
        CHECK((type == "counter") == name.ends_with("_total"));
        now = name;
      }
      continue;
    }
    std::smatch parts;
    REQUIRE(std::regex_match(line, parts, sample));
    CHECK(parts[1] == now);
    CHECK(parts.str(1).starts_with("odmr_"));
    CHECK(samples.insert(parts.str(1) + parts.str(2)).second);
  }
  const auto has = [&](const std::string& line) { return text.find("\n" + line + "\n") != std::string::npos; };
  CHECK(has("odmr_received_messages_total{provider=\"isp\"} 7"));
  CHECK(has("odmr_received_messages_total{provider=\"gone\"} 1"));
  CHECK(has("odmr_received_messages_total{provider=\"b\\\"\\\\\\\\x0a\\\\xff\"} 0"));
  CHECK(has("odmr_sent_messages_total 9"));
  CHECK(has("odmr_sessions_total{provider=\"isp\",outcome=\"fetched\"} 5"));
  CHECK(has("odmr_flushes_total{outcome=\"sent\"} 4"));
  CHECK(has("odmr_last_session_exit_status{provider=\"isp\"} 0"));
  CHECK(has("odmr_last_good_session_timestamp_seconds{provider=\"isp\"} 1799989200"));
  CHECK(has("odmr_queue_oldest_message_timestamp_seconds 1799892000"));
  CHECK(has("odmr_certificate_not_after_timestamp_seconds{server=\"smart host\"} 1799996400"));
}

TEST_CASE("metrics: the manual has each of them, and the examples have no other", "[status][manual]") {
  const std::string repository = ODMR_REPOSITORY;
  const auto names_in = [](const std::string& text) {
    static const std::regex name("odmr_[a-z_]+");
    std::set<std::string> names;
    for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at) names.insert(at->str());
    return names;
  };
  const auto written = names_in(show::metrics(full(), "0.1.0"));
  CHECK(written.size() > 30);
  CHECK(names_in(test::read_file(repository + "/man/odmr.1")) == written);
  for (const char* example : {"grafana-dashboard.json", "prometheus-alerts.yml"}) {
    const auto used = names_in(test::read_file(repository + "/examples/" + example));
    CHECK(used.size() >= 8);
    for (const auto& name : used) {
      INFO(example << ": " << name);
      CHECK(written.contains(name));
    }
  }
}

TEST_CASE("status: what the journal has is not a terminal's to read", "[status]") {
  Status status = full();
  status.providers.front() = provider("isp", Outcome::auth, Cause::login_refused, "no \x1b[2J");
  status.providers.front().last->id = "\x1b]0;x\x07";
  status.providers.front().last_good = status.providers.front().last;
  status.outbound.last->id = "\x1b[31m";
  std::string all;
  for (const auto& line : show::in_words(status, k_now, false)) all += line;
  CHECK(all.find("\\x1b]0;x\\x07") != all.rfind("\\x1b]0;x\\x07"));  // of the last, and of the last good
  all += show::as_json(status.providers.front())["session"].get<std::string>();
  all += show::overall_json(status)["outbound"]["session"].get<std::string>();
  CHECK(std::none_of(all.begin(), all.end(), [](char c) { return c == '\x1b' || c == '\x07'; }));
}

TEST_CASE("a report file is replaced at one stroke, for everybody to read", "[status]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "odmr.prom";
  for (const char* text : {"one\n", "two\n", ""}) {
    auto report = ReportFile::begin(path, directory.path());
    REQUIRE(report);
    const auto written = report->write(text);
    INFO((written ? std::string() : written.error().text));
    REQUIRE(written);
    CHECK(test::read_file(path) == text);
    CHECK((std::filesystem::status(path).permissions() == std::filesystem::perms(0644)));
    CHECK(std::distance(std::filesystem::directory_iterator(directory.path()), {}) == 1);
  }
  auto nowhere = ReportFile::begin(directory / "no/such/odmr.prom", directory.path());
  REQUIRE(nowhere);
  CHECK(nowhere->write("x").error().code == Errc::not_found);
  // A file in the way stays, and nothing is left beside it.
  std::filesystem::create_directory(directory / "folder");
  auto over_folder = ReportFile::begin(directory / "folder", directory.path());
  REQUIRE(over_folder);
  CHECK_FALSE(over_folder->write("x"));
  CHECK(std::distance(std::filesystem::directory_iterator(directory.path()), {}) == 2);
}

TEST_CASE("a report file takes the place of a regular file alone", "[status]") {
  const TemporaryDirectory directory;
  const std::string regular = directory / "regular";
  test::write_file(regular, "as it was");
  const auto refused = [&](const std::string& path) {
    auto report = ReportFile::begin(path, directory.path());
    REQUIRE(report);
    const auto written = report->write("x");
    INFO(path);
    REQUIRE_FALSE(written);
    CHECK(written.error().text.find(path + " is ") == 0);
    CHECK(written.error().text.find("not replaced") != std::string::npos);
    struct stat status {};
    REQUIRE(lstat(path.c_str(), &status) == 0);
    return status.st_mode & static_cast<mode_t>(S_IFMT);
  };
  REQUIRE(mkfifo((directory / "fifo").c_str(), 0600) == 0);
  CHECK(refused(directory / "fifo") == S_IFIFO);
  // A link may stand where others can set it: what it names is another's choice.
  std::filesystem::create_symlink(regular, directory / "link");
  CHECK(refused(directory / "link") == S_IFLNK);
  std::filesystem::create_symlink("/dev/null", directory / "null");
  CHECK(refused(directory / "null") == S_IFLNK);
  std::filesystem::create_directory(directory / "folder");
  CHECK(refused(directory / "folder") == S_IFDIR);
  if (geteuid() == 0 && mknod((directory / "device").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0)
    CHECK(refused(directory / "device") == S_IFCHR);
  CHECK(test::read_file(regular) == "as it was");
  const auto names = std::distance(std::filesystem::directory_iterator(directory.path()), {});
  CHECK(names == (std::filesystem::exists(directory / "device") ? 6 : 5));
}

TEST_CASE("what keeps a report file from being written is said with its own name", "[status]") {
  const TemporaryDirectory directory;
  for (const std::string& path : {directory / "no/such/odmr.prom", directory / std::string(250, 'x')}) {
    auto report = ReportFile::begin(path, directory.path());
    REQUIRE(report);
    const auto written = report->write("x");
    REQUIRE_FALSE(written);
    CHECK(written.error().text.find(path + ": ") == 0);
  }
}

TEST_CASE("a report file is written by who we were when it was begun", "[status]") {
  if (geteuid() != 0) return;
  const TemporaryDirectory directory;
  const std::string state = directory / "state";
  std::filesystem::create_directory(state);
  REQUIRE(chown(state.c_str(), 65534, 65534) == 0);
  const std::string path = directory / "odmr.prom";
  const std::string unmade = directory / "no/odmr.prom";
  auto report = ReportFile::begin(path, state);
  auto nowhere = ReportFile::begin(unmade, state);
  auto dropped = ReportFile::begin(directory / "never.prom", state);
  REQUIRE((report && nowhere && dropped));
  REQUIRE(seteuid(65534) == 0);
  const auto written = report->write(std::string(300'000, 'x'));
  const auto failed = nowhere->write("x");
  REQUIRE(seteuid(0) == 0);
  CHECK(written);
  CHECK(std::filesystem::file_size(path) == 300'000);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().text.find("No such file") != std::string::npos);
  { const auto gone = std::move(*dropped); }
  CHECK_FALSE(std::filesystem::exists(directory / "never.prom"));
}
