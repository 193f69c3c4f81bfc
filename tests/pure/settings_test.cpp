// [outbound] and [submit] of odmr.toml: what they mean, and which mistakes are told.

#include "app/settings.hpp"

#include <catch2/catch.hpp>

using namespace odmr;
using namespace odmr::app;
using namespace std::chrono_literals;

namespace {

const std::string k_provider =
    "[provider.isp]\n"
    "host = \"odmr.example.net\"\n"
    "user = \"example.org\"\n"
    "password_command = \"true\"\n"
    "domains = [\"example.org\"]\n";
const std::string k_head =
    "hostname = \"home.example.org\"\n[deliver]\nto = \"maildir:///var/mail/all\"\n" + k_provider;

struct Read {
  Settings settings;
  std::vector<std::string> faults;
};

Read read(const std::string& text) {
  auto document = config::Document::parse(text, "f");
  REQUIRE(document);
  Read read;
  read.settings = read_settings(*document);
  for (const auto& fault : document->faults()) read.faults.push_back(fault.key + ": " + fault.text);
  return read;
}

OutboundSettings outbound(const std::string& keys) {
  const auto got = read(k_head + "[outbound]\n" + keys);
  CAPTURE(keys, got.faults);
  REQUIRE(got.faults.empty());
  REQUIRE(got.settings.outbound);
  return *got.settings.outbound;
}

// The only fault that a configuration has.
std::string fault(const std::string& text) {
  const auto faults = read(text).faults;
  CAPTURE(text, faults);
  REQUIRE(faults.size() == 1);
  return faults.front();
}

}  // namespace

TEST_CASE("a smart host has the port that belongs to its TLS unless one is given") {
  CHECK(outbound("to = \"smtp://mx.example.net\"").endpoint.port == 587);
  CHECK(outbound("to = \"smtp://mx.example.net\"\ntls = \"implicit\"").endpoint.port == 465);
  CHECK(outbound("to = \"smtp://mx.example.net:2525\"\ntls = \"none\"").endpoint.port == 2525);
  CHECK(outbound("to = \"smtp://[2001:db8::1]:25\"").endpoint.host == "2001:db8::1");
  CHECK(outbound("to = \"smtp://mx.example.net\"").tls.policy == client::TlsPolicy::starttls);
}

TEST_CASE("[deliver] max_connections is 4, and 1 to 10") {
  CHECK(read(k_head).settings.deliver.max_connections == 4);
  const auto with = [](const std::string& number) {
    std::string text = k_head;
    const std::string table = "[deliver]\n";
    return text.insert(text.find(table) + table.size(), "max_connections = " + number + "\n");
  };
  CHECK(read(with("1")).settings.deliver.max_connections == 1);
  CHECK(fault(with("11")) == "deliver.max_connections: 11 is out of range; 1 to 10 is possible");
}

TEST_CASE("what is not said in [outbound] has the defaults of the contract") {
  const auto settings = outbound("to = \"smtp://mx.example.net\"");
  CHECK(settings.max_connections == 2);
  CHECK(settings.lifetime == 120h);
  CHECK_FALSE(settings.delay_notice);
  CHECK_FALSE(settings.bounce_whole_message);
  CHECK_FALSE(settings.convert_8bit);
  CHECK(settings.from.empty());
  CHECK(settings.login.user.empty());
  const auto without = read(k_head);
  CHECK(without.faults.empty());
  CHECK_FALSE(without.settings.outbound);
  CHECK(without.settings.submit.listen == std::vector<std::string>{"/run/odmr/submit"});
}

TEST_CASE("auth_as takes the provider's login") {
  const auto settings = outbound("to = \"smtp://mx.example.net\"\nauth_as = \"isp\"");
  CHECK(settings.login.user == "example.org");
  CHECK(settings.login.password);
  const std::string to = k_head + "[outbound]\nto = \"smtp://mx.example.net\"\n";
  CHECK(fault(to + "auth_as = \"ips\"") == "outbound.auth_as: there is no [provider.ips]");
  CHECK(fault(to + "auth_as = \"isp\"\nuser = \"a\"\npassword_command = \"true\"") ==
        "outbound.auth_as: there is a user too; give one of the two");
}

TEST_CASE("a provider's own connection is a way out, with its own TLS and login") {
  const auto only = outbound("to = \"provider\"");
  CHECK(only.to == OutboundSettings::To::provider);
  CHECK(only.provider == "isp");
  CHECK(outbound("to = \"provider:isp\"").provider == "isp");
  CHECK(fault(k_head + "[outbound]\nto = \"provider:other\"") == "outbound.to: there is no [provider.other]");
  std::string second = k_provider;
  second.replace(second.find("isp"), 3, "two");
  CHECK(fault(k_head + second + "[outbound]\nto = \"provider\"") ==
        "outbound.to: there are several providers; write which, such as to = \"provider:NAME\"");
  CHECK(fault(k_head + "[outbound]\nto = \"provider\"\ntls = \"implicit\"") ==
        "outbound.tls: mail goes over the provider's own connection, which has its own TLS and login");
}

TEST_CASE("a way out that is none is told") {
  const std::string words =
      "is no smart host; write smtp://HOST[:PORT], or \"provider\" for the provider's own connection";
  for (const std::string to : {"mx.example.net", "smtp://", "smtp://a:0", "smtp://a:x", "lmtp://a:24", "providers"}) {
    CHECK(fault(k_head + "[outbound]\nto = \"" + to + "\"") == "outbound.to: \"" + to + "\" " + words);
  }
  CHECK(fault(k_head + "[outbound]\nmax_connections = 2") ==
        "outbound.to: missing; such as to = \"smtp://smtp.example.net:587\"");
  CHECK(fault(k_head + "[outbound]\nto = \"smtp://a\"\nfrom = \"nobody\"").substr(0, 34) ==
        "outbound.from: \"nobody\" is no addr");
  CHECK(fault(k_head + "[outbound]\nto = \"smtp://a\"\nlifetime = \"1h\"\ndelay_notice = \"1h\"") ==
        "outbound.delay_notice: comes after the end of lifetime; make it shorter");
  CHECK(fault(k_head + "[outbound]\nto = \"smtp://a\"\nuser = \"anna\"") ==
        "outbound.user: needs a password too: password_file, password_command, password_credential or password");
  CHECK(fault(k_head + "[outbound]\nto = \"smtp://a\"\nmax_connections = 11") ==
        "outbound.max_connections: 11 is out of range; 1 to 10 is possible");
}

TEST_CASE("POP before SMTP is a login of its own") {
  const std::string login = "user = \"anna\"\npassword_command = \"true\"\n";
  const std::string to = "to = \"smtp://a\"\n[outbound.pop_before_smtp]\n";
  const auto starttls = outbound(to + "host = \"pop.example.net\"\n" + login);
  REQUIRE(starttls.pop_before_smtp);
  CHECK(starttls.pop_before_smtp->endpoint.port == 110);
  CHECK(outbound(to + "host = \"p\"\ntls = \"implicit\"\n" + login).pop_before_smtp->endpoint.port == 995);
  CHECK(fault(k_head + "[outbound]\n" + to + "host = \"p\"") ==
        "outbound.pop_before_smtp.user: missing; the login is all that this connection is for");
  CHECK(fault(k_head + "[outbound]\n" + to + "host = \"p\"\ntls = \"none\"\n" + login)
            .find("outbound.pop_before_smtp.tls: ") == 0);
}

TEST_CASE("somebody else's queue can be all that there is to send") {
  const auto got = read(k_head + "[outbound]\ncommand = [\"postqueue\", \"-f\"]\ncommand_until = \"postqueue -j\"\n");
  CHECK(got.faults.empty());
  CHECK_FALSE(got.settings.outbound);
  REQUIRE(got.settings.command);
  CHECK(got.settings.command->command == std::vector<std::string>{"postqueue", "-f"});
  CHECK(got.settings.command->is_empty == std::vector<std::string>{"/bin/sh", "-c", "postqueue -j"});
  CHECK(got.settings.command->limit == 10min);
  CHECK(fault(k_head + "[outbound]\nto = \"smtp://a\"\ncommand_until = \"x\"") ==
        "outbound.command_until: there is no command that it could wait for");
}

TEST_CASE("order says whether fetching and sending wait for each other") {
  CHECK(read(k_head).settings.order == Order::side_by_side);
  const std::string to = k_head + "[outbound]\nto = \"smtp://a\"\norder = ";
  CHECK(read(to + "\"send-first\"").settings.order == Order::send_first);
  CHECK(read(to + "\"receive-first\"").settings.order == Order::receive_first);
  CHECK(fault(to + "\"both\"").substr(0, 14) == "outbound.order");
}

TEST_CASE("only this machine's own addresses are listened on") {
  const auto listen = [](const std::string& value) { return k_head + "[submit]\nlisten = " + value; };
  for (const std::string good :
       {"\"/run/x\"", "\"127.0.0.1:25\"", "\"[::1]:0\"", "[\"/run/x\", \"127.1.2.3:2525\"]", "\"127.0.0.1:0\""}) {
    CAPTURE(good);
    CHECK(read(listen(good)).faults.empty());
  }
  for (const std::string open : {"0.0.0.0:25", "[::]:25", "192.0.2.1:25", "localhost:25", "mail.example.org:25"}) {
    CHECK(fault(listen("\"" + open + "\"")) ==
          "submit.listen: \"" + open +
              "\" can be reached from other machines, and whoever reaches it may send mail; use 127.0.0.1, [::1] or a "
              "socket");
  }
  CHECK(fault(listen("\"127.0.0.1\"")) == "submit.listen: \"127.0.0.1\" is neither a socket's path nor ADDRESS:PORT");
  CHECK(fault(listen("[]")).substr(0, 23) == "submit.listen: is empty");
}

TEST_CASE("bounces go to [deliver], or to the first provider's own target") {
  CHECK(read(k_head).settings.deliver.directory == "/var/mail/all");
  const std::string own = k_provider + "[provider.isp.deliver]\nto = \"maildir:///var/mail/isp\"\n";
  CHECK(read("hostname = \"a.example\"\n" + own).settings.deliver.directory == "/var/mail/isp");
}

TEST_CASE("a host that only sends needs no provider") {
  const std::string sends = "hostname = \"a.example\"\n[deliver]\nto = \"maildir:///m/a\"\n";
  CHECK(read(sends + "[outbound]\nto = \"smtp://a\"").faults.empty());
  CHECK(fault(sends) == "provider: missing; there has to be one [provider.NAME] at least");
}

TEST_CASE("[watch] and the waits after refusals follow from each other where they are not given") {
  const auto plain = read(k_head);
  CHECK(plain.faults.empty());
  CHECK(plain.settings.watch.interval == 5min);
  CHECK(plain.settings.watch.jitter == 30s);
  CHECK(plain.settings.watch.longest == 1h);
  CHECK(plain.settings.watch.hold);
  CHECK(plain.settings.providers.front().retry.refused == 1min);
  CHECK(plain.settings.providers.front().retry.longest == 1h);
  const auto slow = read(k_head + "retry_refused = \"2h\"\n[watch]\ninterval = \"3h\"\n");
  CHECK(slow.faults.empty());
  CHECK(slow.settings.watch.jitter == 18min);
  CHECK(slow.settings.watch.longest == 3h);
  CHECK(slow.settings.providers.front().retry.longest == 2h);
  const auto off = read(k_head + "retry_refused = \"0s\"\n[watch]\njitter = \"0s\"\n");
  CHECK(off.faults.empty());
  CHECK(off.settings.watch.jitter == 0s);
  CHECK(off.settings.providers.front().retry.refused == 0s);
}

TEST_CASE("a line that is dialled is not held unless somebody says so") {
  const std::string dialled = "[line]\nup = \"pon isp\"\n";
  CHECK_FALSE(read(k_head + dialled).settings.watch.hold);
  CHECK(read(k_head + dialled + "[watch]\nhold = true\n").settings.watch.hold);
  CHECK_FALSE(read(k_head + "[watch]\nhold = false\n").settings.watch.hold);
}

TEST_CASE("a longest wait that is shorter than the first is a fault") {
  CHECK(fault(k_head + "[watch]\nmax_interval = \"1m\"\n") ==
        "watch.max_interval: is shorter than interval, which it lengthens");
  CHECK(fault(k_head + "retry_refused_max = \"1s\"\n") ==
        "provider.isp.retry_refused_max: is shorter than retry_refused, the first wait");
  CHECK(fault(k_head + "[watch]\ninterval = \"10ms\"\n").starts_with("watch.interval: "));
}

// --- lines, budgets, ways

namespace {

const std::string k_deliver = "hostname = \"home.example.org\"\n[deliver]\nto = \"maildir:///var/mail/all\"\n";
const std::string k_rest_of_provider =
    "user = \"example.org\"\npassword_command = \"true\"\ndomains = [\"example.org\"]\n";

ProviderSettings provider(const std::string& keys, const std::string& line = {}) {
  const auto got = read(k_deliver + "[provider.isp]\n" + k_rest_of_provider + keys + "\n" + line);
  CAPTURE(keys, line, got.faults);
  REQUIRE(got.faults.empty());
  return got.settings.providers.front();
}

std::string provider_fault(const std::string& keys) {
  return fault(k_deliver + "[provider.isp]\n" + k_rest_of_provider + keys);
}

std::vector<std::string> hosts(const std::string& keys) {
  const auto isp = provider(keys);
  std::vector<std::string> all{isp.endpoint.text()};
  for (const auto& one : isp.alternatives) all.push_back(one.text());
  return all;
}

const std::string k_host = "host = \"odmr.example.net\"\n";

}  // namespace

TEST_CASE("a provider has one host, or several, each with the port that belongs to it") {
  using Hosts = std::vector<std::string>;
  CHECK(hosts(k_host) == Hosts{"odmr.example.net:366"});
  CHECK(hosts(k_host + "port = 387") == Hosts{"odmr.example.net:387"});
  CHECK(hosts("host = \"2001:db8::1\"") == Hosts{"[2001:db8::1]:366"});
  CHECK(hosts("host = \"odmr.example.net:1366\"\nport = 387") == Hosts{"odmr.example.net:1366"});
  CHECK(hosts("host = [\"a.example\", \"b.example:1366\", \"[2001:db8::1]:25\", \"2001:db8::2\", \"192.0.2.1\"]\n"
              "port = 387") ==
        Hosts{"a.example:387", "b.example:1366", "[2001:db8::1]:25", "[2001:db8::2]:387", "192.0.2.1:387"});
  CHECK(provider_fault("") == "provider.isp.host: missing; write host = \"odmr.example.net\"");
  CHECK(provider_fault("host = []").starts_with("provider.isp.host: is empty"));
  CHECK(provider_fault("host = [\"a.example\", \"b.example:0\"]").find("\"b.example:0\" is no host") !=
        std::string::npos);
  CHECK(provider_fault("host = \"a.example:x\"").find("is no host") != std::string::npos);
}

TEST_CASE("a line has sane patience where none is given, and waits only where it was dialled") {
  const auto line = [](const std::string& keys) { return read(k_head + "[line]\n" + keys).settings.line; };
  CHECK(line("").dialled.up.empty());
  CHECK(line("").wait == 0s);
  const auto dialled = line("up = \"pon isp\"\ndown = [\"poff\", \"isp\"]");
  CHECK(dialled.dialled.up == line::Command{"/bin/sh", "-c", "pon isp"});
  CHECK(dialled.dialled.down == line::Command{"poff", "isp"});
  CHECK(dialled.dialled.up_timeout == 2min);
  CHECK(dialled.dialled.down_timeout == 30s);
  CHECK(dialled.wait == 1min);
  CHECK(line("up = \"pon\"\nwait = \"0s\"").wait == 0s);
  CHECK(line("wait = \"20s\"").wait == 20s);
  CHECK(fault(k_head + "[line]\nup_timeout = \"2h\"").starts_with("line.up_timeout: "));
}

TEST_CASE("the budgets of a line hold for every provider that has none of its own") {
  const std::string line = "[line]\nmax_minutes = 20\nmax_bytes = \"10MiB\"\nmax_message_size = \"1MiB\"\n";
  const auto usual = provider(k_host, line).budget;
  CHECK(usual.time == 20min);
  CHECK(usual.bytes == 10 * 1024 * 1024);
  CHECK(usual.message_size == 1024 * 1024);
  const auto own = provider(k_host + "max_minutes = 0\nmax_message_size = 0\n", line).budget;
  CHECK_FALSE(own.time);
  CHECK(own.bytes == 10 * 1024 * 1024);
  CHECK(own.message_size == 0);
  CHECK_FALSE(provider(k_host).budget.time);
  CHECK(provider_fault(k_host + "max_minutes = \"20m\"").find("a whole number") != std::string::npos);
}

TEST_CASE("the way to a provider: version, own address, proxy") {
  CHECK(provider(k_host).way.way.ip == net::IpVersion::any);
  CHECK(provider(k_host + "ip = \"6\"").way.way.ip == net::IpVersion::v6);
  CHECK(provider(k_host + "source_address = \"192.0.2.7\"").way.way.source_address == "192.0.2.7");
  const auto tor = provider(k_host + "proxy = \"socks5://127.0.0.1:9050\"").way.way.proxy;
  REQUIRE(tor);
  CHECK(tor->text() == "socks5://127.0.0.1:9050");
  CHECK(provider(k_host + "proxy = \"socks5h://[::1]\"").way.way.proxy->text() == "socks5://[::1]:1080");
  // What is asked of the proxy is not what our side can do.
  CHECK(provider("host = \"2001:db8::1\"\nip = \"4\"\nproxy = \"socks5://127.0.0.1\"").way.way.proxy);
  const auto login = provider(k_host +
                              "proxy = \"socks5://p.example\"\nproxy_user = \"anna\"\n"
                              "proxy_password_command = \"true\"")
                         .way;
  CHECK(login.way.proxy->user == "anna");
  CHECK(login.proxy_password);
}

TEST_CASE("a way that leads nowhere is told") {
  const auto says = [](const std::string& keys, const std::string& words) {
    const auto found = provider_fault(keys);
    CAPTURE(found);
    CHECK(found.find(words) != std::string::npos);
  };
  says(k_host + "ip = \"5\"", "provider.isp.ip: ");
  says(k_host + "source_address = \"ppp0\"", "source_address: \"ppp0\" is no address");
  says(k_host + "source_address = \"192.0.2.7\"\nip = \"6\"", "is an IPv4 address, and ip allows IPv6 alone");
  says("host = \"192.0.2.1\"\nip = \"6\"", "\"192.0.2.1\" is an IPv4 address, and ip asks for IPv6");
  says("host = \"2001:db8::1\"\nsource_address = \"192.0.2.7\"", "and source_address asks for IPv4");
  says(k_host + "proxy = \"http://p.example\"", "write socks5://HOST:PORT");
  says(k_host + "proxy = \"p.example:1080\"", "write socks5://HOST:PORT");
  says(k_host + "proxy = \"socks5://anna:pw@p.example\"", "leave the user out here");
  says(k_host + "proxy = \"socks5://p.example\"\nproxy_user = \"anna\"", "proxy_user: needs a password too");
  says(k_host + "proxy = \"socks5://p.example\"\nproxy_password_command = \"true\"",
       "a password for the proxy needs a user");
  says(k_host + "proxy_user = \"anna\"", "there is no proxy");
}

TEST_CASE("a smart host has a way too") {
  const auto smart = outbound("to = \"smtp://mx.example.net\"\nip = \"4\"\nproxy = \"socks5://127.0.0.1:9050\"");
  CHECK(smart.way.way.ip == net::IpVersion::v4);
  CHECK(smart.way.way.proxy);
  CHECK(
      fault(k_head + "[outbound]\nto = \"provider\"\nproxy = \"socks5://127.0.0.1\"").starts_with("outbound.proxy: "));
}

namespace {

std::string mailbox(const std::string& protocol, const std::string& keys) {
  return "hostname = \"home.example.org\"\n[deliver]\nto = \"maildir:///var/mail/all\"\n[provider.isp]\n"
         "host = \"mail.example.net\"\nuser = \"anna\"\npassword_command = \"true\"\nprotocol = \"" +
         protocol + "\"\n" + keys;
}

const std::string k_whose = "deliver_to = \"anna@example.org\"\n";

ProviderSettings provider_with(const std::string& protocol, const std::string& keys) {
  const auto got = read(mailbox(protocol, k_whose + keys));
  CAPTURE(keys, got.faults);
  REQUIRE(got.faults.empty());
  return got.settings.providers.front();
}

}  // namespace

TEST_CASE("a mailbox has the port and the habits of its protocol") {
  CHECK_FALSE(read(k_head).settings.providers.front().mailbox);
  const auto pop3 = provider_with("pop3", "");
  REQUIRE(pop3.mailbox);
  CHECK(pop3.endpoint.port == 110);
  CHECK(pop3.domains == std::vector<std::string>{"example.org"});
  CHECK(pop3.mailbox->place.protocol == collect::Protocol::pop3);
  CHECK_FALSE(pop3.mailbox->keeping.leaves);
  CHECK_FALSE(pop3.mailbox->bounces_refused);
  REQUIRE(pop3.mailbox->policy.only.size() == 1);
  CHECK(pop3.mailbox->policy.only.front().text() == "anna@example.org");
  CHECK(provider_with("pop3", "tls = \"implicit\"").endpoint.port == 995);
  CHECK(provider_with("imap", "tls = \"implicit\"").endpoint.port == 993);
  CHECK(provider_with("imap", "port = 1143").endpoint.port == 1143);
  const auto imap = provider_with("imap", "");
  CHECK(imap.endpoint.port == 143);
  CHECK(imap.mailbox->keeping.leaves);
  CHECK(imap.mailbox->place.folder == "INBOX");
  CHECK(imap.mailbox->place.is_read_only);
}

TEST_CASE("what stays in a mailbox, and of IMAP what is looked at") {
  const auto left = provider_with("pop3", "leave_on_server = true\nleave_for = \"14d\"\nleave_up_to = \"50MiB\"");
  CHECK(left.mailbox->keeping.leaves);
  CHECK(left.mailbox->keeping.leave_for == 14 * 24h);
  CHECK(left.mailbox->keeping.leave_up_to == 50 * 1024 * 1024);
  const auto seen = provider_with("imap", "folder = \"Lists/odmr\"\nunseen_only = true\nmark_seen = true");
  CHECK(seen.mailbox->place.folder == "Lists/odmr");
  CHECK(seen.mailbox->unseen_only);
  CHECK(seen.mailbox->marks_seen);
  CHECK_FALSE(seen.mailbox->place.is_read_only);
  CHECK_FALSE(provider_with("imap", "leave_on_server = false").mailbox->place.is_read_only);
  CHECK(provider_with("pop3", "refused = \"bounce\"").mailbox->bounces_refused);
}

TEST_CASE("a mailbox of many has its recipients in the header") {
  const auto got =
      read(mailbox("imap",
                   "domains = [\"example.org\"]\nenvelope = [\"Delivered-To 1 mbox-\", \"X-Envelope-To\"]\n"
                   "address_fields = false\ncatch_all = \"anna@example.org\"\n"
                   "users = [\"sales@example.org bert@home.example carl@example.org\"]\n"));
  CAPTURE(got.faults);
  REQUIRE(got.faults.empty());
  const auto& provider = got.settings.providers.front();
  CHECK(provider.domains == std::vector<std::string>{"example.org", "home.example"});
  const auto& policy = provider.mailbox->policy;
  CHECK(policy.only.empty());
  CHECK(policy.domains == std::set<std::string>{"example.org"});
  REQUIRE(policy.envelope.size() == 2);
  CHECK(policy.envelope.front().prefix == "mbox-");
  CHECK_FALSE(policy.use_address_fields);
  REQUIRE(policy.catch_all.size() == 1);
  const auto* sales = policy.users.find(smtp::Mailbox{"sales", "example.org"});
  REQUIRE(sales != nullptr);
  CHECK(sales->size() == 2);
  CHECK(
      fault(mailbox("imap", "domains = [\"example.org\"]\nusers = [\"sales@example.org\"]\n")).find("has no target") !=
      std::string::npos);
  CHECK(fault(mailbox("imap", "domains = [\"example.org\"]\naddress_fields = false\n")).find("nobody can be told") !=
        std::string::npos);
}

TEST_CASE("keys of one way for mail to come are faults with another") {
  CHECK(fault(mailbox("pop3", "")).starts_with("provider.isp.deliver_to: missing"));
  CHECK(fault(mailbox("pop3", "deliver_to = \"anna\"")).starts_with("provider.isp.deliver_to: \"anna\" is no address"));
  CHECK(fault(mailbox("pop3", "deliver_to = \"a%b@example.org\"")).find("sent onwards") != std::string::npos);
  CHECK(fault(mailbox("pop3", k_whose + "domains = [\"example.org\"]")) ==
        "provider.isp.domains: is of no use with deliver_to, who gets all");
  CHECK(fault(mailbox("pop3", k_whose + "folder = \"INBOX\"")) ==
        "provider.isp.folder: is for protocol = \"imap\"; leave it out");
  CHECK(fault(mailbox("pop3", k_whose + "leave_for = \"1d\"")) ==
        "provider.isp.leave_for: is of no use without leave_on_server = true");
  CHECK(fault(k_head + k_whose) == "provider.isp.deliver_to: is for protocol = \"pop3\" and \"imap\"; leave it out");
  CHECK(fault(mailbox("pop3", k_whose + "[outbound]\nto = \"provider\"")).find("has no ODMR connection") !=
        std::string::npos);
  CHECK(fault(mailbox("imap", k_whose + "auth = [\"XOAUTH2\"]\ntls = \"none\"")).find("only inside TLS") !=
        std::string::npos);
}

// --- providers that send by themselves

namespace {

std::string asked(const std::string& keys) {
  return "hostname = \"home.example.org\"\n[deliver]\nto = \"smtp://127.0.0.1\"\n[provider.isp]\n" + keys;
}

ProviderSettings provider_of(const std::string& text) {
  const auto got = read(text);
  CAPTURE(text, got.faults);
  REQUIRE(got.faults.empty());
  return got.settings.providers.front();
}

const std::string k_etrn = "protocol = \"etrn\"\nhost = \"mail.example.net\"\n";

}  // namespace

TEST_CASE("ETRN is said for domains, all below them, and queues, with a login or without") {
  const auto provider =
      provider_of(asked(k_etrn + "domains = [\"Example.ORG\", \"@example.com\", \"#night\", \"host\"]"));
  CHECK(provider.protocol == Protocol::etrn);
  CHECK(provider.only_asks());
  CHECK(provider.endpoint.port == 25);
  CHECK(provider.tls.policy == client::TlsPolicy::starttls);
  CHECK(provider.login.user.empty());
  CHECK(provider.nodes == std::vector<std::string>{"example.org", "@example.com", "#night", "host"});
  CHECK(provider.domains == std::vector<std::string>{"example.org", "example.com", "host"});
  const std::string domain = "domains = [\"example.org\"]\n";
  CHECK(provider_of(asked(k_etrn + domain + "tls = \"implicit\"")).endpoint.port == 465);
  CHECK(provider_of(asked(k_etrn + domain + "user = \"a\"\npassword_command = \"true\"")).login.user == "a");
  CHECK(fault(asked(k_etrn)).starts_with("provider.isp.domains: missing"));
  CHECK(fault(asked(k_etrn + "domains = []")).find("is empty") != std::string::npos);
  CHECK(fault(asked(k_etrn + "domains = [\"a b\"]")).find("ETRN takes DOMAIN, @DOMAIN") != std::string::npos);
  CHECK(fault(asked(k_etrn + "domains = [\"# \"]")).find("is no queue's name") != std::string::npos);
  CHECK(fault(asked(k_etrn + domain + "user = \"a\"")).find("needs a password") != std::string::npos);
  CHECK(fault(asked(k_etrn + domain + "atrn_all = true")) ==
        "provider.isp.atrn_all: is for protocol = \"odmr\"; leave it out");
  CHECK(fault(asked(k_etrn + domain + "max_sessions = 2")).find("a line that mail comes over") != std::string::npos);
  CHECK(fault(asked(k_etrn + domain + "deliver_to = \"a@example.org\"")).find("\"pop3\" and \"imap\"") !=
        std::string::npos);
  CHECK(fault(asked(k_etrn + domain + "[outbound]\nto = \"provider\"")).find("has no ODMR connection") !=
        std::string::npos);
}

TEST_CASE("a signal is sent as it stands, alone or before anything else") {
  const auto alone = provider_of(asked(
      "protocol = \"signal\"\nsignal = { host = \"a.example\", port = 79, send = \"x\\r\\n\", expect = \"ok\" }"));
  CHECK(alone.only_asks());
  REQUIRE(alone.signal);
  CHECK(alone.signal->endpoint.text() == "a.example:79");
  CHECK(alone.endpoint.text() == "a.example:79");
  CHECK(alone.signal->text == "x\r\n");
  CHECK(alone.signal->expected == "ok");
  CHECK(alone.tls.policy == client::TlsPolicy::none);
  const auto before = provider_of(k_head + "signal = { port = 79, send = \"x\" }");
  CHECK_FALSE(before.only_asks());
  REQUIRE(before.signal);
  CHECK(before.signal->endpoint.host == before.endpoint.host);
  CHECK(before.signal->expected.empty());
  const std::string signal = "protocol = \"signal\"\n";
  CHECK(fault(asked(signal)).starts_with("provider.isp.signal: missing; such as signal = {"));
  CHECK(fault(asked(signal + "signal = { port = 79, send = \"x\" }")).starts_with("provider.isp.signal.host: missing"));
  CHECK(fault(asked(signal + "signal = { host = \"a\", send = \"x\" }"))
            .starts_with("provider.isp.signal.port: missing"));
  CHECK(fault(asked(signal + "signal = { host = \"a\", port = 79 }")).starts_with("provider.isp.signal.send: missing"));
  CHECK(fault(asked(signal + "signal = { host = \"a:79\", port = 79, send = \"x\" }")).find("is no host") !=
        std::string::npos);
  CHECK(fault(asked(signal + "signal = { host = \"a\", port = 79, send = \"\\u0007\" }")).find("control character") !=
        std::string::npos);
  CHECK(fault(asked(signal + "host = \"b\"\nsignal = { host = \"a\", port = 79, send = \"x\" }"))
            .find("has its own host and port") != std::string::npos);
  CHECK(fault(asked(signal + "signal = { host = \"a\", port = 79, send = \"" + std::string(5000, 'x') + "\" }"))
            .find("longer than 4096") != std::string::npos);
}
