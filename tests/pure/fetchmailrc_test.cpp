// fetchmail's run control file: what fetchmail 6.4 takes from each of these was seen with `fetchmail -V -v -f FILE`
// (tests/peers/scenarios/setup.py compares the two).

#include "app/fetchmailrc.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

#include "app/places.hpp"
#include "app/settings.hpp"
#include "app/setup_from_fetchmail.hpp"

using namespace odmr;
using namespace odmr::app;

namespace {

using Texts = std::vector<std::string>;

Fetchmailrc read(const std::string& text) {
  auto rc = parse_fetchmailrc(text);
  CAPTURE(text);
  if (!rc) FAIL(rc.error().text);
  return std::move(*rc);
}

FetchmailEntry only(const std::string& text) {
  auto rc = read(text);
  REQUIRE(rc.entries.size() == 1);
  return std::move(rc.entries.front());
}

std::string password_of(const FetchmailEntry& entry) {
  return entry.password ? entry.password->text() : "(none)";
}

std::string fault(const std::string& text) {
  const auto rc = parse_fetchmailrc(text);
  CAPTURE(text);
  REQUIRE_FALSE(rc);
  return rc.error().text;
}

FromFetchmail carried(const std::string& text, const std::string& entry = {}) {
  auto out = carry_over(read(text), entry);
  if (!out) FAIL(out.error().text);
  return std::move(*out);
}

bool has_note(const FromFetchmail& from, const std::string& begin) {
  for (const auto& note : from.notes) {
    if (note.starts_with(begin)) return true;
  }
  return false;
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("A usual entry is read, noise words and all", "[fetchmailrc]") {
  const auto entry = only(
      "poll isp.example with proto ODMR, port 1366 and via odmr.isp.example;\n"
      "  user \"example.org\" there with password 'geheim' is joe here options\n"
      "  fetchdomains example.org, example.com smtphost 127.0.0.1/2525\n");
  CHECK(entry.name == "isp.example");
  CHECK(entry.host() == "odmr.isp.example");
  CHECK(entry.protocol == "odmr");
  CHECK(entry.service == "1366");
  CHECK(entry.user == "example.org");
  CHECK(password_of(entry) == "geheim");
  CHECK(entry.fetchdomains == Texts{"example.org", "example.com"});
  CHECK(entry.smtphosts == Texts{"127.0.0.1/2525"});
  CHECK(entry.others == Texts{"is"});
  CHECK_FALSE(entry.is_skipped);
}

TEST_CASE("Keywords have second spellings, and lose their meaning behind user and password", "[fetchmailrc]") {
  const auto entry = only("server x.example proto odmr service 'odmr' username poll pass user smtp mail lmtp ssl");
  CHECK(entry.user == "poll");
  CHECK(password_of(entry) == "user");
  CHECK(entry.service == "odmr");
  CHECK(entry.smtphosts == Texts{"mail"});
  CHECK(entry.is_lmtp);
  CHECK(entry.is_ssl);
  CHECK(only("poll x proto odmr user 12345 pass 67890").user == "12345");
  CHECK(password_of(only("poll x proto odmr user a pass with")) == "with");
}

TEST_CASE("Quotes and escapes are fetchmail's", "[fetchmailrc]") {
  const auto password = [](const std::string& written) {
    return password_of(only("poll x proto odmr user a password " + written + " fetchdomains b.example"));
  };
  CHECK(password("\"a b;c:d=e,f#g\"") == "a b;c:d=e,f#g");
  CHECK(password("'it is \"quoted\"'") == "it is \"quoted\"");
  CHECK(password("\"\\x41\\102\\67\\0103\"") == "AfC\b3");  // \102 is decimal: only a leading 0 makes it octal
  CHECK(password("\"\\n\\t\\b\\r\\\\\\q\"") == "\n\t\b\r\\q");
  CHECK(password("bare\\x20word") == "bare word");
  CHECK(password("a#b") == "a#b");
  CHECK(password("\"a\"b") == "\"a\"b");  // the longer match is a word, quotes and all
  CHECK(password("'a\\\nb'") == "ab");    // a backslash joins lines
  CHECK(password("\"a\nb\"") == "a\nb");
  CHECK(password("\"before\\0after\"") == "before");
  CHECK(password("\"\"").empty());
}

TEST_CASE("Comments end with their line, and a line may be continued", "[fetchmailrc]") {
  const auto entry = only("# first\npoll x.example \\\n proto odmr # \"not a quote\n user a # more\n pass b\n#last");
  CHECK(entry.user == "a");
  CHECK(password_of(entry) == "b");
}

TEST_CASE("defaults fill what an entry leaves open", "[fetchmailrc]") {
  const auto rc = read(
      "set daemon 300\nset no bouncemail\nset logfile \"/var/log/fetchmail\"\n"
      "defaults proto odmr port 1366 user d there pass dp smtphost m\n"
      "poll one.example\n"
      "poll two.example port 366 user u pass p\n"
      "skip three.example proto pop3\n");
  REQUIRE(rc.entries.size() == 3);
  CHECK(rc.daemon == 300U);
  CHECK(rc.entries[0].protocol == "odmr");
  CHECK(rc.entries[0].service == "1366");
  CHECK(rc.entries[0].user == "d");
  CHECK(password_of(rc.entries[0]) == "dp");
  CHECK(rc.entries[1].service == "366");
  CHECK(rc.entries[1].user == "u");
  CHECK(password_of(rc.entries[1]) == "p");
  CHECK(rc.entries[2].is_skipped);
  CHECK(rc.entries[2].protocol == "pop3");
}

TEST_CASE("Several users at one server are several entries", "[fetchmailrc]") {
  const auto rc = read("poll x proto odmr user a there pass 1 fetchdomains a.example\n user b pass 2 no ssl nokeep");
  REQUIRE(rc.entries.size() == 2);
  CHECK(rc.entries[1].name == "x");
  CHECK(rc.entries[1].user == "b");
  CHECK(rc.entries[1].fetchdomains.empty());
  CHECK(password_of(rc.entries[0]) == "1");
}

TEST_CASE("Names of this host are no user at the server", "[fetchmailrc]") {
  CHECK(only("poll x proto odmr user joe here is rjoe there pass p").user == "rjoe");
  CHECK(only("poll x proto odmr user joe=j ann here pass p").user.empty());
  CHECK(only("poll x proto odmr pass p fetchdomains a.example").user.empty());
}

TEST_CASE("What fetchmail would not take is refused with its line, and no word of it is repeated", "[fetchmailrc]") {
  CHECK(fault("poll") ==
        "line 1: fetchmail would not take the end of the file here; a name or a quoted text has to "
        "stand there");
  CHECK(fault("poll x proto odmr\nuser a pass b port 366").starts_with("line 2: fetchmail would not take \"port\""));
  CHECK(fault("poll x proto Odmr").find("it knows no such protocol") != std::string::npos);
  CHECK(fault("poll x proto odmr port odmr").find("a number has to stand there") != std::string::npos);
  CHECK(fault("poll x\nproto odmr pass one user two").starts_with("line 2: "));
  CHECK(fault("poll x proto odmr service odmr").starts_with("line 1: fetchmail would not take \"odmr\""));
  CHECK(fault("set nonsense").starts_with("line 1: "));
  CHECK(fault("poll x auth nonsense").find("no such way to log in") != std::string::npos);
  for (const std::string text : {"poll x user a pass SECRET SECRET", "SECRET", "poll x proto SECRET", "poll x = SECRET",
                                 "poll x port SECRET", "poll x user a pass 'SECRET"}) {
    CHECK(fault(text + " poll y bad-header SECRET").find("SECRET") == std::string::npos);
  }
}

TEST_CASE("A hostile file is bounded", "[fetchmailrc]") {
  CHECK(parse_fetchmailrc(std::string(k_longest_fetchmailrc + 1, ' ')).error().code == Errc::too_long);
  CHECK(fault("poll " + std::string(5000, 'x')).find("longer") != std::string::npos);
  std::string many;
  for (int i = 0; i < 2000; ++i) many += "poll x proto odmr\n";
  CHECK(fault(many).find("more servers") != std::string::npos);
  CHECK(parse_fetchmailrc(std::string("poll x\0y proto odmr", 19)));
  CHECK(parse_fetchmailrc("")->entries.empty());
}

TEST_CASE("What an entry says becomes answers, and what it cannot is named", "[fetchmailrc]") {
  const auto from = carried(
      "set daemon 900 poll isp.example proto odmr port 1366 interface 'ppp0/10.0.0.1' plugin 'socat %h %p'\n"
      "user example.org pass geheim fetchdomains example.org smtphost localhost/2525 other smtpaddress x.example\n"
      "poll pop.example proto pop3 user b pass c\n");
  CHECK(from.answers.host == "isp.example:1366");
  CHECK(from.answers.user == "example.org");
  CHECK(from.answers.domains == Texts{"example.org"});
  CHECK(from.answers.deliver == "smtp://localhost:2525");
  CHECK(from.answers.interval == "900s");
  REQUIRE(from.password);
  CHECK(from.password->text() == "geheim");
  for (const auto* begin :
       {"\"interface\" is not carried over: ip and source_address", "\"plugin\" is not", "\"smtpaddress\" is not",
        "smtphost \"other\" is not", "TLS is required", "entry pop.example (b): TLS is required",
        "entry pop.example (b): it does not say whose mailbox it is"}) {
    CAPTURE(begin, from.notes);
    CHECK(has_note(from, begin));
  }
  CHECK(from.notes.size() == 7);
  REQUIRE(from.answers.further.size() == 1);
  CHECK(from.answers.further.front().name == "pop-example");
  REQUIRE(from.secrets.size() == 1);
  CHECK(from.secrets.front().file == "pop-example.secret");
  CHECK(from.secrets.front().password.text() == "c");
}

TEST_CASE("Sockets, LMTP, TLS and IPv6 addresses become what odmr calls them", "[fetchmailrc]") {
  const std::string head = "poll x.example proto odmr user a pass b fetchdomains c.example ";
  CHECK(carried(head + "smtphost /run/dovecot/lmtp lmtp").answers.deliver == "lmtp:///run/dovecot/lmtp");
  CHECK(carried(head + "smtphost localhost/24 lmtp").answers.deliver == "lmtp://localhost:24");
  CHECK(carried(head + "smtphost '::1/2525'").answers.deliver == "smtp://[::1]:2525");
  CHECK(carried(head + "ssl sslcertfile /etc/isp.pem").answers.tls == "implicit");
  CHECK(carried(head + "sslcertfile /etc/isp.pem").answers.ca_file == "/etc/isp.pem");
  CHECK(carried("poll x via '2001:db8::1' proto odmr port 1366").answers.host == "[2001:db8::1]:1366");
}

TEST_CASE("Of several ODMR entries one is chosen", "[fetchmailrc]") {
  const std::string two = "poll a.example proto odmr user u1\npoll b.example proto odmr user u2\n";
  const auto choose = [](const std::string& text, const std::string& entry) { return carry_over(read(text), entry); };
  const auto none = choose(two, "");
  REQUIRE_FALSE(none);
  CHECK(none.error().text.find("--entry") != std::string::npos);
  CHECK(none.error().text.find("a.example (u1), b.example (u2)") != std::string::npos);
  CHECK(choose(two, "b.example")->answers.host == "b.example");
  CHECK(choose(two, "u1")->answers.host == "a.example");
  CHECK_FALSE(choose(two, "c.example"));
  // One that is skipped is not meant, unless it is all there is, or named.
  const std::string skipped = "skip a.example proto odmr\npoll b.example proto odmr\n";
  CHECK(choose(skipped, "")->answers.host == "b.example");
  CHECK(choose(skipped, "a.example")->answers.host == "a.example");
  CHECK(choose("skip a.example proto odmr", "")->answers.host == "a.example");
  CHECK(choose("poll a.example proto imap", "").error().text.find("there is no user in it") != std::string::npos);
  CHECK(choose("", "").error().text == "there is no entry that could be carried over");
  // Who is named is taken alone, whatever the protocol.
  const std::string three = two + "poll c.example proto pop3 user u3 pass p is x here\n";
  const auto named = choose(three, "u3");
  REQUIRE(named);
  CHECK_FALSE(named->answers.has_odmr);
  REQUIRE(named->answers.further.size() == 1);
  CHECK(named->answers.further.front().name == "c-example");
  CHECK(has_note(*named, "entry a.example (u1) is not carried over: another one was chosen"));
  CHECK(choose(three, "u1")->answers.further.empty());
}

TEST_CASE("What is of a mailbox is read", "[fetchmailrc]") {
  const auto entry = only(
      "poll x.example proto pop3 aka y.example localdomains a.example b.example envelope 2 'X-Envelope-To' qvirtual "
      "'box-' user u pass p is joe=joseph ann * here keep fetchall folder A B sslproto TLS1.2+ limit 1000 "
      "smtpaddress c.example");
  REQUIRE(entry.local_names.size() == 3);
  CHECK(entry.local_names[0].there == "joe");
  CHECK(entry.local_names[0].here == "joseph");
  CHECK(entry.local_names[1].here == "ann");
  CHECK(entry.local_names[2].there == "*");
  CHECK(entry.keeps);
  CHECK(entry.fetches_all);
  CHECK(entry.folders == Texts{"A", "B"});
  CHECK(entry.aliases == Texts{"y.example"});
  CHECK(entry.local_domains == Texts{"a.example", "b.example"});
  REQUIRE(entry.envelope);
  CHECK(entry.envelope->name == "X-Envelope-To");
  CHECK(entry.envelope->skipped == 2);
  CHECK(entry.virtual_prefix == "box-");
  CHECK(entry.ssl_protocol == "TLS1.2+");
  CHECK(entry.limit == 1000);
  CHECK(entry.smtp_address == "c.example");
  const auto kept =
      read("defaults proto pop3 keep fetchall\npoll a user u pass p nokeep\npoll b user v pass q no fetchall\n");
  REQUIRE(kept.entries.size() == 2);
  CHECK_FALSE(kept.entries[0].keeps);
  CHECK(kept.entries[0].fetches_all);
  CHECK(kept.entries[1].keeps);
  CHECK_FALSE(kept.entries[1].fetches_all);
}

// Files as people have them: what becomes of them is beside them, to the letter.
TEST_CASE("fetchmailrc files become configurations that odmr takes", "[fetchmailrc]") {
  namespace fs = std::filesystem;
  std::size_t seen = 0;
  for (const auto& file : fs::directory_iterator(fs::path(ODMR_REPOSITORY) / "tests/pure/fetchmailrc")) {
    if (file.path().extension() != ".rc") continue;
    ++seen;
    CAPTURE(file.path().string());
    auto from = carry_over(read(contents(file.path())), "");
    REQUIRE(from);
    if (from->answers.deliver.empty()) from->answers.deliver = "smtp://127.0.0.1:25";
    from->answers.hostname = "mail.example.org";
    auto text = configuration_text(from->answers, "isp.secret");
    std::string told = text + "\n# secrets:\n";
    for (const auto& one : from->secrets) told += "#   " + one.file + "\n";
    told += "# notes:\n";
    for (const auto& note : from->notes) told += "#   " + note + "\n";
    told = std::regex_replace(told, std::regex(default_hostname()), "HOSTNAME");
    auto golden = file.path();
    golden.replace_extension(".golden");
    if (std::getenv("ODMR_WRITE_GOLDEN") != nullptr) std::ofstream(golden, std::ios::binary) << told;
    CHECK(contents(golden) == told);
    text = std::regex_replace(text, std::regex("password_file *= \"[^\"]*\""), "password = \"x\"");
    text = std::regex_replace(text, std::regex("ca_file *= [^\n]*"), "");
    auto document = config::Document::parse(text, "odmr.toml");
    REQUIRE(document);
    static_cast<void>(read_settings(*document));
    for (const auto& fault : document->faults()) FAIL_CHECK(fault.render());
  }
  CHECK(seen == 3);
}
