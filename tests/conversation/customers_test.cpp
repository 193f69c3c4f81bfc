// The customers that odmrd keeps in files of their own, and how they log in with what is kept of their password.

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "../pure/fake_files.hpp"
#include "app/customer_files.hpp"
#include "provider/salting_key.hpp"
#include "provider_house.hpp"

namespace odmr::test {

namespace {

namespace fs = std::filesystem;
using app::Kept;

const char* const k_start = R"(
hostname = "odmr.example.net"
spool = "spool"
[listen.clear]
address = "127.0.0.1:0"
tls = "none"
)";
const char* const k_by_hand = R"(
[customer.one]
user = "one.example"
password_file = "secret"
domains = ["one.example"]
)";

std::string contents(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777U;
}

class Configured {
 public:
  explicit Configured(const std::string& text = std::string(k_start) + k_by_hand) {
    write_file(directory / "odmrd.toml", text);
    write_file(directory / "secret", "geheim\n");
    ::chmod((directory / "secret").c_str(), 0600);
  }

  std::string configuration() const { return directory / "odmrd.toml"; }
  std::string file(const std::string& name) const { return directory / "customers.d/" + name; }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directory(directory / "customers.d");
    write_file(file(name), text);
    ::chmod(file(name).c_str(), 0600);
  }
  // A line each, without the directory.
  std::string faults(app::Depth depth = app::Depth::files) const {
    const auto settings = app::load_daemon_settings(configuration(), depth);
    if (settings) return {};
    std::string all;
    for (auto fault : settings.error()) {
      const auto at = fault.find(directory.path());
      all += (at == std::string::npos ? fault : fault.erase(at, directory.path().size() + 1)) + "\n";
    }
    return all;
  }
  provider::Customers customers() const {
    const auto settings = app::load_daemon_settings(configuration(), app::Depth::files);
    REQUIRE(settings);
    auto customers = app::customers_with_secrets(*settings);
    REQUIRE(customers);
    return std::move(*customers);
  }
  // How it failed: exit status and reasons.
  static std::string failure(const app::CustomerResult<app::CustomerWritten>& result) {
    REQUIRE_FALSE(result);
    std::string all = std::to_string(result.error().exit);
    for (const auto& reason : result.error().reasons) all += " " + reason;
    return all;
  }

  TemporaryDirectory directory;
};

app::NewCustomer club() {
  app::NewCustomer customer;
  customer.name = "club";
  customer.domains = {"club.example", "Verein.Example"};
  return customer;
}

bool says(const std::string& text, const std::string& words) {
  INFO(text);
  INFO(words);
  const bool is_said = text.find(words) != std::string::npos;
  CHECK(is_said);
  return is_said;
}

}  // namespace

TEST_CASE("customers: one that is added stands in a file of its own, beside what people have written", "[customers]") {
  const Configured odmrd;
  const std::string before = contents(odmrd.configuration());
  auto customer = club();
  customer.recipients = {"anna", "bert@club.example"};
  customer.quota = "1GiB";
  const auto added = app::add_customer(odmrd.configuration(), customer, Secret("pencil"));
  REQUIRE(added);
  CHECK(added->file == odmrd.file("club.toml"));
  CHECK(mode_of(added->file) == 0600);
  CHECK(mode_of(odmrd.directory / "customers.d") == 0700);
  CHECK(contents(odmrd.configuration()) == before);
  CHECK(contents(added->file).find("pencil") == std::string::npos);
  CHECK(odmrd.faults().empty());
  const auto settings = app::load_daemon_settings(odmrd.configuration(), app::Depth::files);
  REQUIRE(settings->customers.size() == 2);
  const auto& club = settings->customers[1];
  CHECK(club.customer.name == "club");
  CHECK(club.customer.user == "club.example");
  CHECK(club.customer.domains == provider::Domains{"club.example", "verein.example"});
  CHECK(club.customer.quota == std::uint64_t{1} << 30U);
  CHECK(club.customer.recipients);
  CHECK(app::is_kept_in_directory(*settings, club));
  CHECK_FALSE(app::is_kept_in_directory(*settings, settings->customers[0]));
  const auto customers = odmrd.customers();
  CHECK_FALSE(customers.password("club.example"));
  REQUIRE(customers.verifier("VEREIN.example"));
  CHECK(sasl::is_password_of(*customers.verifier("VEREIN.example"), "pencil"));
  CHECK(customers.verifier("one.example") == nullptr);
  // Whatever comes first, the two are met by those who do not exist.
  CHECK(customers.stand_in(0) == nullptr);
  CHECK(customers.stand_in(1) == customers.verifier("club.example"));
  CHECK(customers.name_of("Nobody.EXAMPLE") == "nobody.example");
}

TEST_CASE("customers: with CRAM-MD5 the password itself is kept", "[customers]") {
  const Configured odmrd;
  auto customer = club();
  customer.kept = Kept::password;
  REQUIRE(app::add_customer(odmrd.configuration(), customer, Secret("a \"b\" \\ c")));
  CHECK(odmrd.customers().password("club.example") == "a \"b\" \\ c");
  CHECK(odmrd.customers().verifier("club.example") == nullptr);
}

TEST_CASE("customers: the first of all may be added, and the last may go", "[customers]") {
  const Configured odmrd(k_start);
  says(odmrd.faults(), "odmrd.toml:1:1: customer: missing");
  REQUIRE(app::add_customer(odmrd.configuration(), club(), Secret("pencil")));
  CHECK(odmrd.faults().empty());
  REQUIRE(app::remove_customer(odmrd.configuration(), "club"));
  CHECK_FALSE(fs::exists(odmrd.file("club.toml")));
  CHECK(odmrd.faults().empty());
  CHECK(odmrd.customers().all().empty());
}

TEST_CASE("customers: what cannot be added leaves nothing behind", "[customers]") {
  const Configured odmrd;
  const auto refused = [&](const std::function<void(app::NewCustomer&)>& change, const std::string& password = "x") {
    auto customer = club();
    change(customer);
    return Configured::failure(app::add_customer(odmrd.configuration(), customer, Secret(password)));
  };
  for (const std::string name : {"", "a b", "../x", ".x", "x.y"})
    says(refused([&](auto& customer) { customer.name = name; }), "64 a customer's name has letters");
  says(refused([](auto& customer) { customer.domains = {}; }), "64 a customer has a domain");
  says(refused([](auto& customer) { customer.domains = {"single"}; }), "64 customer.club.domains: \"single\" has a");
  says(refused([](auto& customer) { customer.domains = {"ONE.example"}; }),
       "customer.club.domains: the domain \"one.example\" is also that of [customer.one]");
  says(refused([](auto& customer) { customer.user = "One.Example"; }),
       "customer.club.user: the user \"one.example\" is also that of [customer.one]");
  says(refused([](auto& customer) { customer.quota = "3"; }), "64 customer.club.quota: ");
  says(refused([](auto& customer) { customer.name = "one"; }), "64 customer.one.user: [customer.one] is also in");
  says(refused([](auto& /*customer*/) {}, ""), "64 a password is not empty");
  says(refused([](auto& /*customer*/) {}, "p\xe4ss"), "64 the password is not UTF-8");
  CHECK_FALSE(fs::exists(odmrd.directory / "customers.d"));
  REQUIRE(app::add_customer(odmrd.configuration(), club(), Secret("pencil")));
  const std::string text = contents(odmrd.file("club.toml"));
  says(refused([](auto& /*customer*/) {}), "64 customer.club.user: [customer.club] is also in");
  // Not a word of the daemon's that it has not read: a file of that name with another customer in it.
  odmrd.write("other.toml", "[customer.x]\nuser = \"x.example\"\npassword = \"x\"\ndomains = [\"x.example\"]\n");
  says(refused([](auto& customer) {
         customer.name = "other";
         customer.domains = {"other.example"};
       }),
       "73 " + odmrd.file("other.toml") + " is there already");
  CHECK(contents(odmrd.file("club.toml")) == text);
  CHECK(app::customer_files_in(odmrd.directory / "customers.d")->size() == 2);
}

TEST_CASE("customers: a configuration that is faulty is mended first", "[customers]") {
  const Configured odmrd(std::string(k_start) + "[customer.one]\nuser = \"one.example\"\npasword = \"x\"\n");
  const auto failure = Configured::failure(app::add_customer(odmrd.configuration(), club(), Secret("x")));
  says(failure, "78 ");
  says(failure, "odmrd.toml:9:1: customer.one.pasword: unknown key");
}

TEST_CASE("customers: another password changes the line of the secret alone", "[customers]") {
  const Configured odmrd;
  REQUIRE(app::add_customer(odmrd.configuration(), club(), Secret("pencil")));
  const std::string file = odmrd.file("club.toml");
  const std::string own = contents(file) + "hold = \"1m\"  # added by hand\n";
  odmrd.write("club.toml", own);
  const auto others = [](const std::string& text) {
    const auto at = text.find("\nscram_verifier");
    const auto end = text.find("\nhold");
    return at == std::string::npos ? text : text.substr(0, at) + text.substr(end);
  };
  const auto check = [&](const std::string& password) {
    return sasl::is_password_of(*odmrd.customers().verifier("club.example"), password);
  };
  const auto first = app::change_password(odmrd.configuration(), "club", Secret("pen"), {});
  REQUIRE(first);
  CHECK(first->kept == Kept::verifier);
  CHECK(others(contents(file)) == others(own));
  CHECK(check("pen"));
  CHECK_FALSE(check("pencil"));
  CHECK(mode_of(file) == 0600);
  REQUIRE(app::change_password(odmrd.configuration(), "club", Secret("ink"), Kept::password));
  CHECK(odmrd.customers().password("club.example") == "ink");
  REQUIRE(app::change_password(odmrd.configuration(), "club", Secret("ink2"), {}));
  CHECK(odmrd.customers().password("club.example") == "ink2");
  REQUIRE(app::change_password(odmrd.configuration(), "club", Secret("ink3"), Kept::verifier));
  CHECK(check("ink3"));
  CHECK(others(contents(file)) == others(own));
}

TEST_CASE("customers: what people have written is not touched", "[customers]") {
  const Configured odmrd;
  odmrd.write("two.toml",
              "[customer.a]\nuser = \"a.example\"\npassword_file = \"../secret\"\ndomains = [\"a.example\"]\n"
              "[customer.b]\nuser = \"b.example\"\npassword = \"x\"\ndomains = [\"b.example\"]\n");
  const auto changed = [&](const std::string& name) {
    return Configured::failure(app::change_password(odmrd.configuration(), name, Secret("x"), {}));
  };
  const auto removed = [&](const std::string& name) {
    return Configured::failure(app::remove_customer(odmrd.configuration(), name));
  };
  says(changed("one"), "64 customer \"one\" stands in " + odmrd.configuration());
  says(removed("one"), "64 customer \"one\" stands in " + odmrd.configuration());
  says(changed("nobody"), "67 there is no customer \"nobody\"");
  says(removed("nobody"), "67 there is no customer \"nobody\"");
  says(changed("a"), "64 " + odmrd.file("two.toml") + " has neither password nor scram_verifier");
  says(removed("a"), "64 " + odmrd.file("two.toml") + " has other customers, too");
}

TEST_CASE("customers: faults in their files say file, line and key", "[customers]") {
  const Configured odmrd;
  odmrd.write(
      "a.toml",
      "spool = \"x\"\n[customer.a]\nuser = \"a.example\"\nscram_verifier = \"x\"\ndomains = [\"one.example\"]\n");
  odmrd.write("b.toml", "[customer.one]\n");
  odmrd.write("c.toml", "[customer.c\n");
  odmrd.write("d.toml",
              "[customer.d]\nuser = \"d.example\"\npassword = \"x\"\nscram_verifier = \"SCRAM-SHA-256$1:a$b:c\"\n"
              "domains = [\"d.example\"]\n");
  odmrd.write("e.toml", "[customer.e]\nuser = \"e.example\"\npassword = \"x\"\ndomains = [\"e.example\"]\n");
  ::chmod(odmrd.file("e.toml").c_str(), 0644);
  odmrd.write(".draft.toml", "nonsense");
  odmrd.write("README", "nonsense");
  const auto faults = odmrd.faults();
  says(faults, "customers.d/a.toml:1:1: spool: unknown key");
  says(faults, "customers.d/a.toml:4:18: customer.a.scram_verifier: this is no verifier of SCRAM-SHA-256");
  says(faults,
       "customers.d/a.toml:5:11: customer.a.domains: the domain \"one.example\" is also that of [customer.one]");
  says(faults, "customers.d/b.toml:1:1: customer.one.user: [customer.one] is also in ");
  says(faults, "customers.d/c.toml:1:");
  says(faults, "customers.d/d.toml:4:18: customer.d.scram_verifier: 'password' is there, too");
  says(faults, "customers.d/d.toml:4:18: customer.d.scram_verifier: its iteration count");
  says(faults, "customers.d/e.toml:3:12: customer.e.password: this file holds a secret");
  CHECK(faults.find("nonsense") == std::string::npos);
  CHECK(faults.find("draft") == std::string::npos);
}

TEST_CASE("customers: another directory may be named, and has to be there", "[customers]") {
  const Configured odmrd("customers_dir = \"more\"\n" + (std::string(k_start) + k_by_hand));
  says(odmrd.faults(), "odmrd.toml:1:17: customers_dir: there is no directory ");
  const auto added = app::add_customer(odmrd.configuration(), club(), Secret("x"));
  REQUIRE(added);
  CHECK(added->file == odmrd.directory / "more/club.toml");
  CHECK(odmrd.faults().empty());
}

TEST_CASE("customers: a password that is made is long, and another one each time", "[customers]") {
  const Secret one = app::new_password();
  CHECK(one.text().size() == 24);
  CHECK(one.text() != app::new_password().text());
}

// --- the key for salts

TEST_CASE("customers: the salting key lasts, and one that is broken is made anew", "[customers]") {
  const TemporaryDirectory directory;
  const auto first = provider::salting_key_in(directory.path());
  REQUIRE(first);
  CHECK(first->text().size() == 64);
  CHECK(mode_of(directory / "salting-key") == 0600);
  CHECK(provider::salting_key_in(directory.path())->text() == first->text());
  write_file(directory / "salting-key", "half");
  const auto second = provider::salting_key_in(directory.path());
  REQUIRE(second);
  CHECK(second->text() != first->text());
  CHECK(provider::salting_key_in(directory.path())->text() == second->text());
  CHECK_FALSE(provider::salting_key_in(directory / "nowhere"));
}

// --- the login

namespace {

using Replies = std::vector<std::string>;

// "example" has a verifier of "secret", "other" its password.
void keep_verifier(House& house) {
  std::vector<provider::Account> accounts;
  for (const auto& one : house.customers->all()) {
    accounts.push_back({one.customer, Secret(one.password.text())});
    if (one.customer.name != "example") continue;
    accounts.back().password = Secret();
    accounts.back().verifier = std::make_shared<const sasl::ScramVerifier>(*sasl::make_verifier("secret"));
  }
  house.provider->customers = std::make_shared<const provider::Customers>(std::move(accounts));
}

std::string login(House& house, const Account& account) {
  return converse(house, house.clear, {"EHLO x", "LOGIN"}, account).back();
}

}  // namespace

TEST_CASE("customers: with a verifier SCRAM-SHA-256 logs in, by the user and by a domain", "[customers]") {
  House house;
  keep_verifier(house);
  CHECK(login(house, {"example.org", "secret", {}}) == "235 SCRAM-SHA-256");
  CHECK(login(house, {"EXAMPLE.com", "secret", {}}) == "235 SCRAM-SHA-256");
  CHECK(login(house, {"other.example", "another", {sasl::Mechanism::cram_md5}}) == "235 CRAM-MD5");
}

TEST_CASE("customers: CRAM-MD5 with a verifier is refused like a wrong password, and the log says why", "[customers]") {
  House house;
  keep_verifier(house);
  const auto mechanism = GENERATE(sasl::Mechanism::cram_md5, sasl::Mechanism::scram_sha_1);
  const auto right = login(house, {"example.org", "secret", {mechanism}});
  says(house.log.text, "customer=example");
  says(house.log.text, "odmrd customer password --cram-md5");
  house.log.text.clear();
  CHECK(login(house, {"example.org", "wrong", {mechanism}}) == right);
  CHECK(login(house, {"nobody.example", "secret", {mechanism}}) == right);
  CHECK(right.find("535 5.7.8") != std::string::npos);
}

}  // namespace odmr::test
