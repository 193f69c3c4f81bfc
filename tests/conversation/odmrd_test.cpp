// What odmrd does without a customer: enqueue, and its configuration.

#include <sys/stat.h>
#include <catch2/catch.hpp>

#include "../pure/temporary_directory.hpp"
#include "app/attendance.hpp"
#include "app/enqueue.hpp"
#include "app/held.hpp"
#include "mail/line_ends.hpp"
#include "net/networks.hpp"

namespace odmr::test {

namespace {

const char* const k_good = R"(
hostname = "odmr.example.net"
spool = "spool"
[listen.clear]
address = "127.0.0.1:0"
tls = "none"
[customer.one]
user = "one.example"
password_file = "secret"
domains = ["one.example", "Uno.Example", "b\u00fccher.example"]
[customer.two]
user = "two.example"
password_file = "secret"
domains = ["two.example"]
)";

class Configured {
 public:
  explicit Configured(const std::string& text = k_good) {
    write_file(directory / "odmrd.toml", text);
    write_file(directory / "secret", "geheim\n");
    ::chmod((directory / "secret").c_str(), 0600);
  }

  std::vector<std::string> faults(app::Depth depth = app::Depth::files) const {
    const auto settings = app::load_daemon_settings(directory / "odmrd.toml", depth);
    if (settings) return {};
    std::vector<std::string> faults = settings.error();
    for (auto& fault : faults) fault.erase(0, (directory / "odmrd.toml").size());
    return faults;
  }

  tl::expected<std::vector<app::Enqueued>, app::EnqueueFailure> enqueue(const std::string& sender,
                                                                        const std::vector<std::string>& recipients,
                                                                        const std::string& message) const {
    const auto settings = app::load_daemon_settings(directory / "odmrd.toml", app::Depth::keys);
    REQUIRE(settings);
    write_file(directory / "message", message);
    const auto folder = system_files().open_dir(directory.path());
    const auto file = system_files().open(folder->get(), "message");
    return app::enqueue(*settings, sender, recipients, file->get(), std::chrono::system_clock::now());
  }

  std::string bytes(const std::string& id) const {
    std::string bytes;
    REQUIRE(app::show_held(directory / "spool", provider::Folder::held, id,
                           [&](std::string_view piece) { bytes += piece; }));
    return bytes;
  }

  std::vector<app::HeldMessage> held() const {
    return app::list_held(directory / "spool", provider::Folder::held)->messages;
  }

  TemporaryDirectory directory;
};

std::optional<std::string> line_ends(const std::string& message, std::size_t piece) {
  mail::LineEnds line_ends;
  std::string out;
  for (std::size_t i = 0; i < message.size(); i += piece) {
    if (!line_ends.pass(std::string_view(message).substr(i, piece), out)) return std::nullopt;
  }
  return line_ends.may_end() ? std::optional(out) : std::nullopt;
}

}  // namespace

TEST_CASE("odmrd: whom a connection counts for") {
  CHECK(net::counted_as("192.0.2.1:4711") == "192.0.2.1");
  CHECK(net::counted_as("[::ffff:192.0.2.1]:4711") == "192.0.2.1");
  CHECK(net::counted_as("[2001:db8:1:2:3:4:5:6]:4711") == "2001:db8:1:2::/64");
  CHECK(net::counted_as("[2001:db8:1:2::1]:9") == "2001:db8:1:2::/64");
  CHECK(net::counted_as("[2001:db8:1:3::1]:9") != net::counted_as("[2001:db8:1:2::1]:9"));
  CHECK(net::counted_as("/run/odmr/submit:1").empty());
  CHECK(net::counted_as("").empty());
}

TEST_CASE("enqueue: line ends become CRLF, in whatever pieces they come", "[odmrd]") {
  for (std::size_t piece = 1; piece < 6; ++piece) {
    INFO(piece);
    CHECK(line_ends("a\nb\r\nc\n\n\r\n", piece) == "a\r\nb\r\nc\r\n\r\n\r\n");
    CHECK(line_ends("", piece) == "");
    CHECK(line_ends("\n", piece) == "\r\n");
    CHECK(line_ends("no end", piece) == "no end");
    CHECK(line_ends(std::string("\0.\n..\n", 6), piece) == std::string("\0.\r\n..\r\n", 8));
    CHECK_FALSE(line_ends("a\rb\n", piece));
    CHECK_FALSE(line_ends("a\r\r\n", piece));
    CHECK_FALSE(line_ends("a\r", piece));
  }
}

TEST_CASE("enqueue: one message per customer, its envelope to the letter", "[odmrd]") {
  const Configured odmrd;
  const auto enqueued = odmrd.enqueue("<Some.One@Sender.Example>",
                                      {"a@one.example", "b@two.example", "<C@UNO.example>", "d@xn--bcher-kva.example"},
                                      "Subject: x\n\nhello\n");
  REQUIRE(enqueued);
  REQUIRE(enqueued->size() == 2);
  CHECK((*enqueued)[0].customer == "one");
  CHECK((*enqueued)[0].recipients ==
        std::vector<std::string>{"a@one.example", "C@UNO.example", "d@xn--bcher-kva.example"});
  CHECK((*enqueued)[1].customer == "two");
  for (const auto& one : *enqueued) CHECK(odmrd.bytes(one.id) == "Subject: x\r\n\r\nhello\r\n");
  const auto held = odmrd.held();
  REQUIRE(held.size() == 2);
  CHECK(held[0].reverse_path == "Some.One@Sender.Example");
  CHECK(held[0].attributes.empty());
}

TEST_CASE("enqueue: what cannot be held is refused, and nothing of it kept", "[odmrd]") {
  const Configured odmrd;
  const auto exit_of = [&](const std::string& sender, const std::vector<std::string>& recipients,
                           const std::string& message) {
    const auto enqueued = odmrd.enqueue(sender, recipients, message);
    return enqueued ? 0 : enqueued.error().exit;
  };
  CHECK(exit_of("a@b.example", {"a@one.example", "a@nobody.example"}, "x\n") == 67);
  CHECK(exit_of("a@b.example", {"a@[192.0.2.1]"}, "x\n") == 67);
  CHECK(exit_of("a@b.example", {"postmaster"}, "x\n") == 64);
  CHECK(exit_of("nobody", {"a@one.example"}, "x\n") == 64);
  CHECK(exit_of("a@b.example", {"a@one.example>\r\nRCPT TO:<b@c.example"}, "x\n") == 64);
  CHECK(exit_of("a@b.example", {"a@one.example", "a@two.example"}, "x\rx\n") == 65);
  CHECK(exit_of("a@b.example", {"a@one.example"}, std::string(3 << 20, 'x') + "\r") == 65);
  CHECK(exit_of("a@b.example", {"a@one.example"}, "X: " + std::string(2 << 20, 'x') + "\n\n") == 65);
  CHECK(odmrd.held().empty());
  CHECK(exit_of("<>", {"a@one.example"}, "") == 0);
  CHECK(exit_of("", {"a@one.example"}, "x\n") == 0);
  CHECK(odmrd.held().size() == 2);
}

TEST_CASE("enqueue: a spool that does not take the message is said so", "[odmrd]") {
  const Configured odmrd;
  write_file(odmrd.directory / "spool", "a file");
  const auto enqueued = odmrd.enqueue("", {"a@one.example"}, "x\n");
  REQUIRE_FALSE(enqueued);
  CHECK(enqueued.error().exit == 75);
}

TEST_CASE("enqueue: what the transaction will need is noted", "[odmrd]") {
  const Configured odmrd;
  using Notes = spool::Attributes;
  const auto notes_of = [&](const std::string& sender, const std::string& recipient, const std::string& message) {
    const auto enqueued = odmrd.enqueue(sender, {recipient}, message);
    REQUIRE(enqueued);
    return odmrd.held().back().attributes;
  };
  const std::string utf8 = "\xc3\xbc";
  CHECK(notes_of("a@b.example", "a@one.example", "Subject: x\n\nplain\n") == Notes{});
  CHECK(notes_of("a@b.example", "a@one.example", "Subject: x\n\nM" + utf8 + "ller\n") == Notes{{"body", "8BITMIME"}});
  CHECK(notes_of("a@b.example", "a@one.example", "Subject: " + utf8 + "\n\nplain\n") ==
        Notes{{"body", "8BITMIME"}, {"smtputf8", "header"}});
  // Latin-1 in a header is no reason to ask for SMTPUTF8.
  CHECK(notes_of("a@b.example", "a@one.example", "Subject: \xfc\n\nplain\n") == Notes{{"body", "8BITMIME"}});
  CHECK(notes_of(utf8 + "@b.example", "a@one.example", "x\n") == Notes{{"smtputf8", "envelope"}});
  CHECK(notes_of("", utf8 + "@one.example", "x\n") == Notes{{"smtputf8", "envelope"}});
  CHECK(notes_of("", "a@b" + utf8 + "cher.example", "x\n") == Notes{{"smtputf8", "envelope"}});
  CHECK(notes_of("", "a@one.example", "Subject: x\n\n" + std::string(2 << 20, 'x') + "\n") ==
        Notes{{"body", "8BITMIME"}});
}

// --- the configuration

TEST_CASE("odmrd.toml: a good one", "[odmrd]") {
  const Configured odmrd;
  CHECK(odmrd.faults().empty());
  const auto settings = app::load_daemon_settings(odmrd.directory / "odmrd.toml", app::Depth::keys);
  REQUIRE(settings);
  CHECK(settings->spool == odmrd.directory / "spool");
  REQUIRE(settings->customers.size() == 2);
  CHECK(settings->customers[0].customer.domains ==
        provider::Domains{"one.example", "uno.example", "xn--bcher-kva.example"});
  const auto customers = app::customers_with_secrets(*settings);
  REQUIRE(customers);
  CHECK(customers->password("one.example") == "geheim");
}

TEST_CASE("odmrd.toml: all faults at once, each with its place", "[odmrd]") {
  const Configured odmrd(R"(hostname = "not a name"
spol = "x"
[listen.a]
address = "127.0.0.1:0"
tls = "maybe"
[listen.b]
tls = "none"
key = "k"
[customer.one]
user = "one"
password_file = "missing"
domains = ["one.example", "single", "ONE.example"]
[customer.two]
user = "one"
domains = ["One.Example", "two..example"]
certificate_names = ["gw"]
[customer.three]
password = "x"
domains = []
[customer.four]
user = "ONE.example"
password_file = "missing"
domains = ["four.example"]
hold = "11m"
recipients = ["@", "a b@four.example"]
[intake.mta]
address = "192.0.2.1:24"
protocol = "lntp"
)");
  const auto faults = odmrd.faults();
  std::string all;
  for (const auto& fault : faults) all += fault + "\n";
  INFO(all);
  for (const std::string expected :
       {":1:12: hostname: ",
        ":2:1: spol: unknown key",
        ":3:1: listen.a.certificate: missing",
        ":3:1: listen.a.key: missing",
        ":5:7: listen.a.tls: ",
        ":6:1: listen.b.address: missing",
        ":8:7: listen.b.key: is of no use",
        ":11:17: customer.one.password_file: ",
        ":12:11: customer.one.domains: \"single\"",
        ":12:11: customer.one.domains: the domain \"one.example\" is there twice",
        ":14:8: customer.two.user: the user \"one\" is also that of [customer.one]",
        ":15:11: customer.two.domains: the domain \"one.example\" is also that of [customer.one]",
        ":15:11: customer.two.domains: \"two..example\" is no domain",
        ":16:21: customer.two.certificate_names: no [listen",
        ":17:1: customer.three.user: missing",
        ":18:12: customer.three.password: this file holds a secret",
        ":19:11: customer.three.domains: is empty",
        ":21:8: customer.four.user: \"one.example\" is a domain of [customer.one], which logs in by it, too",
        ":24:8: customer.four.hold: ",
        ":25:14: customer.four.recipients: \"@\" is no address",
        ":25:14: customer.four.recipients: \"a b@four.example\" is no address",
        ":27:11: intake.mta.address: \"192.0.2.1:24\" is no address of this machine alone",
        ":28:12: intake.mta.protocol: \"lntp\" is not known here"}) {
    CHECK(all.find(expected) != std::string::npos);
  }
}

namespace {

// Faults of odmrd.toml with this table at its end.
std::string faults_of_outbound(const std::string& table, app::Depth depth = app::Depth::files) {
  const Configured odmrd(k_good + table);
  std::string all;
  for (const auto& fault : odmrd.faults(depth)) all += fault.substr(fault.find(' ') + 1) + "\n";
  return all;
}

}  // namespace

TEST_CASE("odmrd.toml: the way out is a smart host or a program, and says nothing that means nothing", "[odmrd]") {
  CHECK(faults_of_outbound("[outbound]\nsendmail = [\"/bin/sh\", \"-c\", \"exec x\"]\nmax_connections = 3\n").empty());
  CHECK(faults_of_outbound("[outbound]\n") ==
        "outbound.to: missing; write to = \"smtp://127.0.0.1:25\", or sendmail = [\"/usr/sbin/sendmail\", \"-bs\"]\n");
  CHECK(faults_of_outbound("[outbound]\nto = \"smtp://127.0.0.1:25\"\nsendmail = [\"/bin/sh\"]\n") ==
        "outbound.sendmail: 'to' is there, too; leave one out\n");
  const std::string program = "[outbound]\nsendmail = [\"/bin/sh\"]\n";
  for (const std::string key : {"tls = \"none\"", "user = \"anna\"\npassword_command = \"pw\"", "auth = [\"PLAIN\"]"}) {
    CHECK(
        faults_of_outbound(program + key + "\n")
            .starts_with("outbound." + key.substr(0, key.find(' ')) +
                         ": means nothing with 'sendmail', which is spoken to in clear text and without a login; leave "
                         "it out\n"));
  }
  const std::string wanted = "write sendmail = [\"/usr/sbin/sendmail\", \"-bs\"]\n";
  CHECK(faults_of_outbound("[outbound]\nsendmail = []\n") == "outbound.sendmail: is empty; " + wanted);
  CHECK(faults_of_outbound("[outbound]\nsendmail = [\"sendmail\", \"-bs\"]\n") ==
        "outbound.sendmail: \"sendmail\" does not begin with a slash; the program is named in full: " + wanted);
  CHECK(faults_of_outbound("[outbound]\nsendmail = [\"/usr/sbin/sendmail\", \"-t\"]\n") ==
        "outbound.sendmail: without \"-bs\" sendmail speaks no SMTP; " + wanted);
  CHECK(faults_of_outbound("[outbound]\nsendmail = \"/bin/sh -c x\"\n")
            .starts_with("outbound.sendmail: a text stands here"));
}

TEST_CASE("odmrd.toml: the program of the way out has to be there, for who may look", "[odmrd]") {
  const auto table = [](const std::string& program) { return "[outbound]\nsendmail = [\"" + program + "\"]\n"; };
  const std::string advice = "; name the program that is there, or send by to\n";
  CHECK(faults_of_outbound(table("/no/such/program")) ==
        "outbound.sendmail: /no/such/program: No such file or directory" + advice);
  CHECK(faults_of_outbound(table("/etc/passwd")) == "outbound.sendmail: /etc/passwd: Permission denied" + advice);
  CHECK(faults_of_outbound(table("/etc")) == "outbound.sendmail: /etc: Is a directory" + advice);
  CHECK(faults_of_outbound(table("/no/such/program"), app::Depth::keys).empty());
}

}  // namespace odmr::test
