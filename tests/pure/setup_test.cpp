// odmr setup: what is written, how it is written, and the questions before.

#include "app/setup.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <deque>
#include <filesystem>

#include "app/setup_files.hpp"
#include "app/setup_interview.hpp"
#include "app/switch_on.hpp"
#include "show/wrapped.hpp"
#include "temporary_directory.hpp"

using namespace odmr;
using namespace odmr::app;
using namespace std::chrono_literals;
using test::TemporaryDirectory;

namespace {

using Texts = std::vector<std::string>;

SetupAnswers whole_answers() {
  SetupAnswers answers;
  answers.host = "odmr.example.net:1366";
  answers.domains = {"example.org", "example.com"};
  answers.user = "example.org";
  answers.deliver = "smtp://127.0.0.1:25";
  answers.interval = "5m";
  answers.hostname = "mail.example.org";
  return answers;
}

std::string refusal_of(Question question, const std::string& text) {
  SetupAnswers answers;
  const auto taken = take_answer(question, text, answers);
  CAPTURE(text);
  REQUIRE_FALSE(taken);
  return taken.error().text;
}

SetupAnswers taken(Question question, const std::string& text) {
  SetupAnswers answers;
  const auto done = take_answer(question, text, answers);
  CAPTURE(text);
  if (!done) FAIL(done.error().text);
  return answers;
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

Texts names_in(const std::string& directory) {
  return *system_files().list(system_files().open_dir(directory)->get());
}

// --- somebody who answers from a list

class Script final : public Terminal {
 public:
  explicit Script(std::deque<std::string> answers) : answers_(std::move(answers)) {}

  void say(const std::string& line) override { said += line + "\n"; }
  Result<std::string> ask(const std::string& question) override {
    said += question;
    questions.push_back(question);
    if (answers_.empty()) return fail(Errc::closed, "there are no more answers");
    auto answer = answers_.front();
    answers_.pop_front();
    if (answer == "^C") return fail(Errc::interrupted, "interrupted");
    said += answer + "\n";
    return answer;
  }
  Result<Secret> ask_unseen(const std::string& question) override {
    questions.push_back(question);
    if (answers_.empty()) return fail(Errc::closed, "there are no more answers");
    Secret answer(answers_.front());
    answers_.pop_front();
    if (answer.text() == "^C") return fail(Errc::interrupted, "interrupted");
    return answer;
  }
  std::size_t left() const { return answers_.size(); }

  std::string said;
  Texts questions;

 private:
  std::deque<std::string> answers_;
};

Briefing briefing() {
  Briefing briefing;
  briefing.greeting_of = [](const std::string& to) -> Result<std::string> {
    if (to == "smtp://127.0.0.1:26") return std::string("mail.example.org ESMTP Postfix");
    return fail(Errc::unreachable, to + ": Connection refused");
  };
  briefing.targets = {{"smtp://127.0.0.1:25", "mail.example.org ESMTP Postfix"},
                      {"lmtp:///run/dovecot/lmtp", "Dovecot"}};
  briefing.likely_domain = "example.org";
  return briefing;
}

const std::deque<std::string> k_good_answers{"odmr.example.net", "", "", "geheim", "", "", ""};

}  // namespace

TEST_CASE("What is written is what was answered, and short", "[setup]") {
  auto answers = whole_answers();
  answers.smart_host = "smtp://smtp.example.net:587";
  CHECK(configuration_text(answers, "isp.secret") ==
        "# Written by \"odmr setup\". Every key: odmr.toml(5).\n"
        "# Check it: odmr check. Try it: odmr probe\n"
        "\n"
        "hostname = \"mail.example.org\"\n"
        "\n"
        "[deliver]\n"
        "to = \"smtp://127.0.0.1:25\"  # where received mail goes\n"
        "\n"
        "[provider.isp]\n"
        "host          = \"odmr.example.net:1366\"\n"
        "user          = \"example.org\"\n"
        "password_file = \"isp.secret\"  # its first line is the password\n"
        "domains       = [\"example.org\", \"example.com\"]\n"
        "\n"
        "[outbound]\n"
        "to      = \"smtp://smtp.example.net:587\"\n"
        "auth_as = \"isp\"  # its user and password\n"
        "\n"
        "[watch]\n"
        "interval = \"5m\"  # of \"odmr watch\"; a timer and cron have their own\n");
}

TEST_CASE("Any text that TOML can hold comes back as it went in", "[setup]") {
  std::string all;
  for (int c = 1; c < 128; ++c) all += static_cast<char>(c);
  for (const auto& text : {all, std::string("\"\"\"'''\\u0041]\n[x]"), std::string("grüße\xf0\x9f\x93\xae"),
                           std::string("a\0b", 3), std::string()}) {
    // Of a text with controls the reader wants nothing; whether it is the same text its place tells.
    const auto document = config::Document::parse("x = " + toml_string(text) + "\ny = 1\n", "f");
    CAPTURE(toml_string(text));
    REQUIRE(document);
    CHECK(toml_string(text).find('\n') == std::string::npos);
  }
  std::string printable;
  for (char c = 0x20; c < 0x7f; ++c) printable += c;
  auto document = config::Document::parse("x = " + toml_string(printable) + "\n", "f");
  REQUIRE(document);
  CHECK(document->root().text("x") == printable);
}

TEST_CASE("Answers are taken in the words of people", "[setup]") {
  CHECK(taken(Question::provider, " odmr.example.net ").host == "odmr.example.net");
  CHECK(taken(Question::provider, "[2001:db8::1]:366").host == "[2001:db8::1]:366");
  CHECK(taken(Question::domains, "example.org, example.com;b.example  c.example").domains ==
        Texts{"example.org", "example.com", "b.example", "c.example"});
  CHECK(taken(Question::deliver, "127.0.0.1").deliver == "smtp://127.0.0.1");
  CHECK(taken(Question::deliver, "localhost:2525").deliver == "smtp://localhost:2525");
  CHECK(taken(Question::deliver, "/run/no-such/lmtp").deliver == "lmtp:///run/no-such/lmtp");
  CHECK(taken(Question::deliver, "/tmp").deliver == "maildir:///tmp");
  CHECK(taken(Question::smart_host, "None").smart_host.empty());
  CHECK(taken(Question::smart_host, "provider").smart_host == "provider");
  CHECK(taken(Question::smart_host, "smtp.example.net").smart_host == "smtp://smtp.example.net");
  CHECK(taken(Question::smart_host, "smtps://smtp.example.net").smart_host == "smtp://smtp.example.net:465");
  CHECK(taken(Question::interval, "15").interval == "15m");
  CHECK(taken(Question::interval, "90s").interval == "90s");
}

TEST_CASE("A wrong answer is explained, and changes nothing", "[setup]") {
  CHECK(refusal_of(Question::provider, "").find("has to be an answer") != std::string::npos);
  CHECK(refusal_of(Question::provider, "odmr example net").find("is no host name") != std::string::npos);
  CHECK(refusal_of(Question::provider, "smtp://odmr.example.net").find("HOST") != std::string::npos);
  CHECK(refusal_of(Question::provider, "odmr.example.net:99999").find("HOST:PORT") != std::string::npos);
  CHECK(refusal_of(Question::provider, "odmr\x01.example.net").find("control") != std::string::npos);
  CHECK(refusal_of(Question::provider, "odmr\xff.example.net").find("UTF-8") != std::string::npos);
  CHECK(refusal_of(Question::provider, "a\"\n[deliver]\nto=\"x").find("control") != std::string::npos);
  CHECK(refusal_of(Question::domains, "org").find("single label") != std::string::npos);
  CHECK(refusal_of(Question::domains, "anna@example.org").find("is no domain") != std::string::npos);
  CHECK(refusal_of(Question::domains, "\"quoted\".example").find("is no domain") != std::string::npos);
  CHECK(refusal_of(Question::domains, "[192.0.2.1]").find("is an address") != std::string::npos);
  CHECK(refusal_of(Question::domains, "192.0.2.1").find("is an address") != std::string::npos);
  CHECK(refusal_of(Question::user, "anna\xe2\x80\xae").find("mislead") != std::string::npos);
  CHECK(refusal_of(Question::user, "anna\xc2\x9b").find("mislead") != std::string::npos);
  CHECK(refusal_of(Question::user, std::string(500, 'a') + "\xd8\x9c").find("mislead") != std::string::npos);
  CHECK(refusal_of(Question::domains, " , ").find("has to be an answer") != std::string::npos);
  CHECK(refusal_of(Question::deliver, "pop3://localhost").find("a target is") != std::string::npos);
  CHECK(refusal_of(Question::deliver, "lmtp://localhost").find("a target is") != std::string::npos);
  CHECK(refusal_of(Question::smart_host, "imap://x.example").find("is no smart host") != std::string::npos);
  CHECK(refusal_of(Question::interval, "soon").find("5m") != std::string::npos);
  CHECK(refusal_of(Question::interval, "0").size() > 5);
  auto answers = whole_answers();
  CHECK_FALSE(take_answer(Question::interval, "soon", answers));
  CHECK(answers.interval == "5m");
}

TEST_CASE("A provider's name can name a file", "[setup]") {
  CHECK(check_provider_name("isp-2_b"));
  for (const auto* name : {"", "..", "a/b", "a.b", "a b", "grün", "a\"b"}) CHECK_FALSE(check_provider_name(name));
}

TEST_CASE("The domain that mail is probably for", "[setup]") {
  CHECK(likely_domain("Example.ORG\n", "mail.other.example") == "example.org");
  CHECK(likely_domain("localhost\n", "mail.example.org") == "example.org");
  CHECK(likely_domain("", "mail.example.org") == "example.org");
  CHECK(likely_domain("", "example.org").empty());
  CHECK(likely_domain("", "mail").empty());
  CHECK(likely_domain("bad name.example\n", "x").empty());
}

// --- the files

TEST_CASE("What is written loads, gives the same values, and nobody else may read it", "[setup]") {
  const TemporaryDirectory folder;
  std::string password;
  for (char c = 0x20; c < 0x7f; ++c) password += c;
  password += "\xc3\xbc ";
  auto answers = whole_answers();
  answers.smart_host = "smtp://smtp.example.net:465";
  answers.state_dir = folder / "state";
  const SetupPlace place{folder / "sub/odmr.toml", false, {}};
  const auto written = write_setup(answers, Secret(password), place);
  if (!written) FAIL(written.error().reasons.front());
  CHECK(mode_of(written->configuration) == 0600);
  CHECK(mode_of(written->secret) == 0600);
  CHECK(mode_of(folder / "sub") == 0700);
  CHECK(names_in(folder / "sub") == Texts{"isp.secret", "odmr.toml"});
  const auto settings = load_settings(place.configuration);
  REQUIRE(settings);
  const auto& provider = settings->providers.at(0);
  CHECK(provider.endpoint.text() == "odmr.example.net:1366");
  CHECK(provider.domains == answers.domains);
  CHECK(config::load(*provider.login.password)->text() == password);
  CHECK(settings->outbound->tls.policy == client::TlsPolicy::implicit);
  CHECK(settings->outbound->login.user == "example.org");
  CHECK(config::load(*settings->outbound->login.password)->text() == password);
  CHECK(settings->watch.interval == Duration(5min));
  // And back: what is there is proposed the next time.
  const auto again = answers_in(*settings);
  CHECK(configuration_text(again, "isp.secret") == test::read_file(place.configuration));
}

TEST_CASE("What there is, is never written over without a word, and kept when there is one", "[setup]") {
  const TemporaryDirectory folder;
  const SetupPlace place{folder / "odmr.toml", false, {}};
  const std::string old = "[provider.isp]\npassword_file = \"isp.secret\"\n";
  test::write_file(place.configuration, old);
  test::write_file(folder / "isp.secret", "old secret");
  const auto refused = write_setup(whole_answers(), Secret("new"), place);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reasons.front().find("is there already") != std::string::npos);
  CHECK(test::read_file(place.configuration) == old);
  CHECK(test::read_file(folder / "isp.secret") == "old secret");
  CHECK(names_in(folder.path()) == Texts{"isp.secret", "odmr.toml"});

  const SetupPlace replaced{place.configuration, true, {}};
  REQUIRE(write_setup(whole_answers(), Secret("new"), replaced));
  const auto written = write_setup(whole_answers(), Secret("newer"), replaced);
  REQUIRE(written);
  CHECK(written->backups == Texts{folder / "isp.secret.bak2", folder / "odmr.toml.bak2"});
  CHECK(test::read_file(folder / "odmr.toml.bak") == old);
  CHECK(test::read_file(folder / "isp.secret.bak") == "old secret");
  CHECK(test::read_file(folder / "isp.secret.bak2") == "new\n");
  CHECK(test::read_file(folder / "isp.secret") == "newer\n");
}

TEST_CASE("A secret is replaced with the configuration that names it, and with no other", "[setup]") {
  const TemporaryDirectory folder;
  test::write_file(folder / "isp.secret", "old secret");
  test::write_file(folder / "odmr.toml", "[provider.isp]\npassword_file = \"isp.secret\"\n");
  auto answers = whole_answers();
  for (const char* text :
       {"", "damage =", "[provider.isp]\npassword = \"x\"\n", "[provider.isp]\npassword_file = \"other.secret\"\n"}) {
    CAPTURE(text);
    const SetupPlace place{folder / "b.toml", true, {}};
    if (*text != '\0') test::write_file(place.configuration, text);
    CHECK(secret_in_the_way(answers, place));
    const auto refused = write_setup(answers, Secret("new"), place);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().reasons.front().find("--name") != std::string::npos);
    CHECK(test::read_file(folder / "isp.secret") == "old secret");
  }
  answers.name = "other";
  CHECK_FALSE(secret_in_the_way(answers, {folder / "b.toml", true, {}}));
  answers = whole_answers();
  CHECK(secret_in_the_way(answers, {folder / "odmr.toml", false, {}}));
  CHECK_FALSE(secret_in_the_way(answers, {folder / "odmr.toml", true, {}}));
  answers.password_file = folder / "isp.secret";
  CHECK_FALSE(secret_in_the_way(answers, {folder / "b.toml", false, {}}));
}

TEST_CASE("A mail server is taken unasked only where root alone lets one listen", "[setup]") {
  CHECK_FALSE(target_to_take_unasked({}));
  CHECK_FALSE(target_to_take_unasked({{"smtp://127.0.0.1:2525", "x"}, {"smtp://127.0.0.1:1024", "x"}}));
  CHECK(target_to_take_unasked({{"smtp://127.0.0.1:2525", "x"}, {"lmtp://127.0.0.1:24", "x"}})->to ==
        "lmtp://127.0.0.1:24");
  CHECK(target_to_take_unasked({{"lmtp:///run/dovecot/lmtp", "x"}}));
}

TEST_CASE("The provider's password is offered to its own hosts", "[setup]") {
  CHECK(is_of_provider("smtp://smtp.example.net:587", "odmr.example.net"));
  CHECK(is_of_provider("smtp://SMTP.example.net", "odmr.EXAMPLE.net:1366"));
  CHECK(is_of_provider("smtp://mail.isp.example", "isp.example"));
  CHECK(is_of_provider("smtp://192.0.2.1:25", "192.0.2.1:366"));
  CHECK_FALSE(is_of_provider("smtp://192.0.2.1", "192.0.2.2"));
  CHECK_FALSE(is_of_provider("smtp://1.192.0.2", "192.0.2.2"));
  CHECK_FALSE(is_of_provider("smtp://smtp.other.example:587", "odmr.example.net"));
  CHECK_FALSE(is_of_provider("smtp://smtp.badexample.net", "odmr.example.net"));
  CHECK_FALSE(is_of_provider("smtp://other.example", "isp.example"));
  CHECK_FALSE(is_of_provider("smtp://smtp.other.co.uk", "odmr.isp.co.uk"));
  Script person({"odmr.example.net", "", "", "geheim", "", "smtp.other.example", "", ""});
  const auto interview = hold_interview(briefing(), person);
  REQUIRE(interview);
  CHECK_FALSE(interview->answers.logs_in_at_smart_host);
  CHECK(person.said.find("provider's password") != std::string::npos);
}

TEST_CASE("A secret that is there stops a new configuration too, and leaves no half of it", "[setup]") {
  const TemporaryDirectory folder;
  test::write_file(folder / "isp.secret", "old secret");
  REQUIRE_FALSE(write_setup(whole_answers(), Secret("new"), {folder / "odmr.toml", false, {}}));
  CHECK(names_in(folder.path()) == Texts{"isp.secret"});
  // The other way round: the secret is taken back when the configuration finds its place taken.
  const TemporaryDirectory other;
  test::write_file(other / "odmr.toml", "old");
  REQUIRE_FALSE(write_setup(whole_answers(), Secret("new"), {other / "odmr.toml", false, {}}));
  CHECK(names_in(other.path()) == Texts{"odmr.toml"});
}

TEST_CASE("A configuration that check would refuse is not written", "[setup]") {
  const TemporaryDirectory folder;
  auto answers = whole_answers();
  answers.ca_file = folder / "missing.pem";
  const auto written = write_setup(answers, Secret("x"), {folder / "odmr.toml", false, {}});
  REQUIRE_FALSE(written);
  CAPTURE(written.error().reasons);
  CHECK(written.error().is_of_configuration);
  CHECK(written.error().reasons.front().find(folder / "odmr.toml:") == 0);
  CHECK(written.error().reasons.front().find("ca_file") != std::string::npos);
  CHECK(names_in(folder.path()).empty());
}

TEST_CASE("A folder that cannot be written leaves a reason", "[setup]") {
  const TemporaryDirectory folder;
  test::write_file(folder / "file", "x");
  const auto written = write_setup(whole_answers(), Secret("x"), {folder / "file/odmr.toml", false, {}});
  REQUIRE_FALSE(written);
  CHECK(written.error().reasons.front().find(folder / "file") != std::string::npos);
}

TEST_CASE("Where another user runs odmr, his group may read, and nobody else", "[setup]") {
  if (geteuid() != 0) return;
  const TemporaryDirectory folder;
  const confine::User reader{"somebody", 4711, 4712};
  REQUIRE(write_setup(whole_answers(), Secret("x"), {folder / "etc/odmr.toml", false, reader}));
  CHECK(mode_of(folder / "etc") == 0755);
  for (const auto* name : {"etc/odmr.toml", "etc/isp.secret"}) {
    struct stat status {};
    REQUIRE(stat((folder / name).c_str(), &status) == 0);
    CHECK(status.st_uid == 0);
    CHECK(status.st_gid == 4712);
    CHECK((status.st_mode & 07777) == 0640);
  }
}

TEST_CASE("A password is one line", "[setup]") {
  CHECK(check_password(" leading and trailing "));
  for (const auto& password : {std::string(), std::string("a\nb"), std::string("a\r"), std::string("a\0b", 3)})
    CHECK_FALSE(check_password(password));
}

// --- the questions

TEST_CASE("Enter takes what was found", "[setup]") {
  Script person(k_good_answers);
  const auto interview = hold_interview(briefing(), person);
  REQUIRE(interview);
  CHECK(person.left() == 0);
  CHECK(interview->answers.host == "odmr.example.net");
  CHECK(interview->answers.domains == Texts{"example.org"});
  CHECK(interview->answers.user == "example.org");
  CHECK(interview->password.text() == "geheim");
  CHECK(interview->answers.deliver == "smtp://127.0.0.1:25");
  CHECK(interview->answers.smart_host.empty());
  CHECK(interview->answers.interval == "5m");
  CHECK(person.questions ==
        Texts{"Provider: ", "Domains [example.org]: ", "User [example.org]: ", "Password (unseen): ",
              "Target [smtp://127.0.0.1:25]: ", "Smart host [none]: ", "Every [5m]: "});
  CHECK(person.said.find("geheim") == std::string::npos);
  CHECK(person.said.find("says mail.example.org ESMTP Postfix") != std::string::npos);
}

TEST_CASE("A wrong answer is explained and asked for again", "[setup]") {
  Script person({"", "two words", "odmr.example.net", "org", "example.org", "", "", "geheim", "3", "2", "x y",
                 "smtp.example.net", "perhaps", "no", "never", "1h"});
  const auto interview = hold_interview(briefing(), person);
  REQUIRE(interview);
  CHECK(person.left() == 0);
  CHECK(interview->answers.deliver == "lmtp:///run/dovecot/lmtp");
  CHECK(interview->answers.smart_host == "smtp://smtp.example.net");
  CHECK_FALSE(interview->answers.logs_in_at_smart_host);
  CHECK(interview->answers.interval == "1h");
  for (const auto* words : {"That cannot be: there has to be an answer.", "no number 3", "has a single label",
                            "\"two words\" is no host name", "a password has to be there", "Yes or no?"}) {
    CAPTURE(words, person.said);
    CHECK(person.said.find(words) != std::string::npos);
  }
}

TEST_CASE("A target that does not answer is taken only when it is meant", "[setup]") {
  Script person({"odmr.example.net", "", "", "geheim", "127.0.0.1:27", "", "127.0.0.1:27", "yes", "", ""});
  const auto interview = hold_interview(briefing(), person);
  REQUIRE(interview);
  CHECK(interview->answers.deliver == "smtp://127.0.0.1:27");
  CHECK(person.said.find("Connection refused") != std::string::npos);
  Script other({"odmr.example.net", "", "", "geheim", "127.0.0.1:26", "", ""});
  REQUIRE(hold_interview(briefing(), other));
  CHECK(other.said.find("It says mail.example.org ESMTP Postfix") != std::string::npos);
}

TEST_CASE("The end of the answers, or Ctrl-C, at each question ends it", "[setup]") {
  for (std::size_t count = 0; count < k_good_answers.size(); ++count) {
    std::deque<std::string> answers(k_good_answers.begin(), k_good_answers.begin() + static_cast<long>(count));
    Script silent(answers);
    const auto ended = hold_interview(briefing(), silent);
    REQUIRE_FALSE(ended);
    CHECK(ended.error().code == Errc::closed);
    answers.emplace_back("^C");
    Script interrupting(answers);
    const auto interrupted = hold_interview(briefing(), interrupting);
    REQUIRE_FALSE(interrupted);
    CHECK(interrupted.error().code == Errc::interrupted);
  }
}

TEST_CASE("What is settled is not asked, what is known is proposed", "[setup]") {
  auto known = briefing();
  known.answers = whole_answers();
  known.password.emplace("as before");
  known.settled = {Question::provider, Question::interval};
  Script person({"", "", "", "", ""});
  const auto interview = hold_interview(std::move(known), person);
  REQUIRE(interview);
  CHECK(person.questions ==
        Texts{"Domains [example.org example.com]: ", "User [example.org]: ", "Password (unseen) [as it was]: ",
              "Target [smtp://127.0.0.1:25]: ", "Smart host [none]: "});
  CHECK(interview->password.text() == "as before");
}

TEST_CASE("Where no mail server was found there is nothing to take by Enter", "[setup]") {
  auto bare = briefing();
  bare.targets.clear();
  bare.likely_domain.clear();
  Script person({"odmr.example.net", "", "example.org", "", "geheim", "", "maildir:///var/mail/all", "", ""});
  const auto interview = hold_interview(std::move(bare), person);
  REQUIRE(interview);
  CHECK(interview->answers.deliver == "maildir:///var/mail/all");
  CHECK(person.said.find("None was found that answers.") != std::string::npos);
}

// --- what switches it on

TEST_CASE("The command that switches it on is the system's own", "[setup]") {
  Surroundings around;
  around.own_configuration = k_system_configuration;
  around.is_root = around.has_systemd = around.has_units = around.has_user = true;
  CHECK(switch_on_command(around, k_system_configuration, 5min) == "systemctl enable --now odmr.timer");
  CHECK(switch_on_command(around, k_system_configuration, 10min) == "systemctl enable --now odmr-watch.service");
  CHECK(switch_on_command(around, "/etc/odmr/club.toml", 5min) == "systemctl enable --now odmr@club.timer");
  CHECK(switch_on_command(around, "/etc/odmr/club.toml", 1h) ==
        "echo '0 * * * * odmr odmr run -q -c /etc/odmr/club.toml 2>&1 | logger -t odmr' >/etc/cron.d/odmr-club");
  CHECK(switch_on_command(around, "/srv/a b/x%.toml", 5min) ==
        "echo '*/5 * * * * root odmr run -q -c '\\''/srv/a b/x\\%.toml'\\'' 2>&1 | logger -t odmr' "
        ">/etc/cron.d/odmr-x--731a5f4b");
  // A unit's instance may have a dot in its name, cron's files may not.
  CHECK(switch_on_command(around, "/etc/odmr/my-isp.net.toml", 5min) == "systemctl enable --now odmr@my-isp.net.timer");
  around.has_units = false;
  CHECK(switch_on_command(around, k_system_configuration, 5min) ==
        "echo '*/5 * * * * odmr odmr run -q 2>&1 | logger -t odmr' >/etc/cron.d/odmr");
  Surroundings user;
  user.own_configuration = "/home/anna/.config/odmr/odmr.toml";
  CHECK(switch_on_command(user, user.own_configuration, 15min) ==
        "(crontab -l 2>/dev/null; echo '*/15 * * * * odmr run -q 2>&1 | logger -t odmr') | crontab -");
}

TEST_CASE("What belongs to a configuration has a name that cron reads, and no other configuration has", "[setup]") {
  CHECK(name_for("/etc/odmr/my-isp_2.toml") == "my-isp_2");
  std::set<std::string> names;
  for (const char* file :
       {"/etc/odmr/a.b.toml", "/etc/odmr/a b.toml", "/etc/odmr/a-b.toml", "/etc/odmr/a_b.toml", "/srv/a-b.toml",
        "/srv/a/b.toml", "/srv/odmr.toml", "/etc/odmr/\xc3\xa4.toml", "/etc/odmr/.toml", "/etc/odmr/a-b"}) {
    const auto name = name_for(file);
    CAPTURE(file, name);
    CHECK(names.insert(name).second);
    CHECK(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string::npos);
  }
}

TEST_CASE("Each configuration but the one that is found by itself has a state directory of its own", "[setup]") {
  Surroundings around;
  around.is_root = true;
  around.own_configuration = k_system_configuration;
  CHECK(state_directory_for(around, k_system_configuration).empty());
  std::set<std::string> directories{default_state_dir()};
  for (const char* file :
       {"/etc/odmr/club.toml", "/etc/odmr/my-isp.toml", "/etc/odmr/my.isp.toml", "/etc/odmr/my isp.toml",
        "/etc/odmr/club", "/srv/odmr.toml", "/root/.config/odmr/odmr.toml"}) {
    CAPTURE(file);
    CHECK(directories.insert(state_directory_for(around, file)).second);
  }
  // As the unit has it.
  CHECK(state_directory_for(around, "/etc/odmr/my.isp-2.toml") == default_state_dir() + "-my.isp-2");
}

TEST_CASE("cron's times are the chosen interval, or the next shorter one it has", "[setup]") {
  CHECK(cron_times(30s) == "* * * * *");
  CHECK(cron_times(1min) == "* * * * *");
  CHECK(cron_times(7min) == "*/6 * * * *");
  CHECK(cron_times(45min) == "*/30 * * * *");
  CHECK(cron_times(90min) == "0 * * * *");
  CHECK(cron_times(5h) == "0 */4 * * *");
  CHECK(cron_times(72h) == "0 4 * * *");
}

TEST_CASE("Lines are broken between words, as far in as they began", "[setup]") {
  CHECK(show::wrapped("  one two three", 9) == Texts{"  one two", "  three"});
  CHECK(show::wrapped("  one  two three", 10, 4) == Texts{"  one  two", "      three"});
  CHECK(show::wrapped("a-word-that-is-longer b", 5) == Texts{"a-word-that-is-longer", "b"});
  CHECK(show::wrapped("grün grün", 9) == Texts{"grün grün"});
  CHECK(show::wrapped("one two", 0) == Texts{"one two"});
  CHECK(show::wrapped("", 5) == Texts{""});
}
