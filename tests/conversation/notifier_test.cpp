// What senders and the postmaster hear of mail that odmrd could not get rid of.

#include "app/notifier.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "net/delay.hpp"
#include "provider_house.hpp"

namespace odmr::test {

namespace {

using provider::Folder;

const std::string k_postmaster = "postmaster@odmr.example.net";

// A house in which the notifier works for a while.
struct Office : Outgoing {
  Office() {
    // What is put is as old as the clock of the house has it.
    house.accounts_of([](provider::Customer& customer) { customer.lifetime = std::chrono::hours(24 * 30); });
  }

  // As after a restart of the daemon.
  void work(Duration length, const std::function<void()>& meanwhile = nullptr) {
    house.reopen();
    house.provider->way_out = house.way_out;
    Stop stop;
    app::Notifier notifier({house.directory.path(), "odmr.example.net", k_postmaster}, *house.provider, *house.disk,
                           house.log, stop);
    bool is_over = false;
    house.simulation.start(noting_end(notifier.run(), is_over));
    house.simulation.settle();
    if (meanwhile) meanwhile();
    wait(length);
    stop.advance(Stop::Phase::finish);
    house.simulation.settle();
    REQUIRE(is_over);
  }

  void wait(Duration length) {
    Stop never;
    house.simulation.run(net::delay(house.simulation, length, never));
    house.simulation.settle();
  }

  static net::Task<> noting_end(net::Task<> work, bool& is_over) {
    co_await std::move(work);
    is_over = true;
  }

  std::string bounced_to(std::size_t i) const {
    REQUIRE(host.taken.size() > i);
    CHECK(host.taken[i].reverse_path.empty());
    REQUIRE(host.taken[i].recipients.size() == 1);
    return host.taken[i].recipients[0];
  }
};

bool says(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

// A message of `age`, by the clock of the house.
std::string put_aged(House& house, const std::string& reverse_path, const std::vector<std::string>& recipients,
                     const std::string& subject, std::chrono::hours age) {
  auto store = provider::open_folder(house.directory.path(), Folder::held, unsynced());
  spool::Envelope envelope{house.simulation.wall() - age, reverse_path, {}, {}};
  for (const auto& recipient : recipients) envelope.recipients.push_back({recipient, {}});
  auto draft = store->begin(envelope);
  static_cast<void>(draft->write("Subject: " + subject + "\r\n\r\nbody\r\n"));
  return draft->commit().value();
}

}  // namespace

TEST_CASE("notifier: a final refusal of the customer's becomes a bounce by way of the smart host", "[notifier]") {
  Office office;
  office.house.put("anna@sender.example", {"no@example.org", "yes@example.org"}, "one");
  office.work(std::chrono::minutes(10), [&] {
    MailServer customer(office.house);
    customer.recipients.emplace("no@example.org", smtp::Reply(550, "5.1.1 no such user"));
    fetch(office.house, customer);
    CHECK(customer.taken.size() == 1);
  });
  CHECK(office.bounced_to(0) == "anna@sender.example");
  CHECK(office.host.taken.size() == 1);
  const auto& content = office.host.taken[0].content;
  CHECK(says(content, "Content-Type: multipart/report"));
  CHECK(says(content, "Final-Recipient: rfc822; no@example.org"));
  CHECK(says(content, "Diagnostic-Code: smtp; 550 5.1.1 no such user"));
  CHECK(says(content, "Subject: one\r\n"));
  CHECK_FALSE(says(content, "yes@example.org"));
  CHECK_FALSE(says(content, ".dot of one"));  // the header alone comes back
  CHECK(office.house.ids(Folder::bounces).empty());
  CHECK(office.house.held() == 0);
}

TEST_CASE("notifier: what a crash left in bounces/ goes out at the next start, once", "[notifier]") {
  Office office;
  office.house.put("anna@sender.example", {"no@example.org"}, "one");
  MailServer customer(office.house);
  customer.recipients.emplace("no@example.org", smtp::Reply(550, "5.1.1 no such user"));
  fetch(office.house, customer);
  CHECK(office.house.ids(Folder::bounces).size() == 1);
  office.work(std::chrono::minutes(10));
  office.work(std::chrono::hours(30));
  CHECK(office.host.taken.size() == 1);
}

TEST_CASE("notifier: what a crash left of a notice under way is cleared", "[notifier]") {
  Office office;
  const std::filesystem::path queue = office.house.directory.path() + "/queue";
  const std::string id = "1k0xxqatm094s0yhj";
  office.work(std::chrono::minutes(10));
  for (const auto& left : {queue / "tmp" / id, queue / "held" / (id + ".done")}) std::ofstream(left) << "half of ";
  office.work(std::chrono::minutes(10));
  CHECK_FALSE(std::filesystem::exists(queue / "tmp" / id));
  CHECK_FALSE(std::filesystem::exists(queue / "held" / (id + ".done")));
}

TEST_CASE("notifier: mail that is not fetched in its lifetime is bounced, and younger mail waits", "[notifier]") {
  Office office;
  put_aged(office.house, "anna@sender.example", {"x@example.org", "y@example.com"}, "old", std::chrono::hours(24 * 31));
  put_aged(office.house, "", {"x@example.org"}, "old bounce", std::chrono::hours(24 * 31));
  put_aged(office.house, "bert@sender.example", {"x@example.org"}, "almost", std::chrono::hours(24 * 30 - 5));
  put_aged(office.house, "carl@sender.example", {"x@other.example"}, "another's", std::chrono::hours(24 * 31));
  office.house.accounts_of([](provider::Customer& customer) {
    if (customer.name == "other") customer.lifetime.reset();
  });
  office.work(std::chrono::minutes(10));
  CHECK(office.bounced_to(0) == "anna@sender.example");
  CHECK(office.host.taken.size() == 1);
  const auto& content = office.host.taken[0].content;
  CHECK(says(content, "Final-Recipient: rfc822; x@example.org"));
  CHECK(says(content, "Final-Recipient: rfc822; y@example.com"));
  CHECK(says(content, "554 5.4.7 the recipient"));
  CHECK(office.house.held() == 2);
  CHECK(office.house.ids(Folder::failed).size() == 1);
  CHECK(office.house.logged("warn mail was not fetched in its lifetime, and is bounced customer=example messages=2"));

  // Looked for each hour.
  office.work(std::chrono::hours(6));
  CHECK(office.host.taken.size() == 2);
  CHECK(office.bounced_to(1) == "bert@sender.example");
  CHECK(office.house.held() == 1);
}

TEST_CASE("notifier: a message for two customers is bounced for the one who does not come", "[notifier]") {
  Office office;
  put_aged(office.house, "anna@sender.example", {"x@example.org", "x@other.example"}, "both",
           std::chrono::hours(24 * 31));
  office.house.accounts_of([](provider::Customer& customer) {
    if (customer.name == "other") customer.lifetime.reset();
  });
  office.work(std::chrono::minutes(10));
  REQUIRE(office.host.taken.size() == 1);
  CHECK_FALSE(says(office.host.taken[0].content, "x@other.example"));
  CHECK(office.house.held() == 1);
}

TEST_CASE("notifier: a smart host that is down, or puts off, gets it later; one that refuses, never again",
          "[notifier]") {
  Office office;
  put_aged(office.house, "anna@sender.example", {"x@example.org"}, "old", std::chrono::hours(24 * 31));
  office.house.outside.servers.clear();
  office.work(std::chrono::minutes(12));
  CHECK(office.house.outside.connected.size() >= 2);
  CHECK(office.house.logged("warn notices to senders wait why="));
  CHECK(office.house.held() == 0);

  office.house.outside.servers[k_smart_host] = &office.host;
  office.host.recipients.emplace("anna@sender.example", smtp::Reply(451, "4.7.1 greylisted"));
  office.work(std::chrono::minutes(12));
  CHECK(office.host.taken.empty());
  office.host.recipients.clear();
  office.work(std::chrono::hours(2));
  CHECK(office.bounced_to(0) == "anna@sender.example");

  put_aged(office.house, "forged@sender.example", {"x@example.org"}, "old", std::chrono::hours(24 * 31));
  office.host.recipients.emplace("forged@sender.example", smtp::Reply(550, "5.1.1 no such user"));
  office.work(std::chrono::hours(3));
  INFO(office.house.log.text);
  CHECK(office.house.logged("warn a message cannot be delivered, and nobody can be told; it is given up"));
  const auto refused = office.house.outside.connected.size();
  office.work(std::chrono::hours(3));
  CHECK(office.house.outside.connected.size() == refused);
}

TEST_CASE("notifier: without a way out nothing expires", "[notifier]") {
  Office office;
  office.house.way_out.reset();
  put_aged(office.house, "anna@sender.example", {"x@example.org"}, "old", std::chrono::hours(24 * 31));
  office.work(std::chrono::hours(3));
  CHECK(office.house.held() == 1);
  CHECK(office.house.outside.connected.empty());
}

TEST_CASE("notifier: while a customer is being handed its mail, none of it is too old", "[notifier]") {
  Office office;
  put_aged(office.house, "anna@sender.example", {"x@example.org"}, "old", std::chrono::hours(24 * 31));
  office.house.reopen();
  office.house.provider->way_out = office.house.way_out;
  Stop stop;
  app::Notifier notifier({office.house.directory.path(), "odmr.example.net", k_postmaster}, *office.house.provider,
                         *office.house.disk, office.house.log, stop);
  const auto claim = office.house.mail->claim({"example.org"});
  bool is_over = false;
  office.house.simulation.start(Office::noting_end(notifier.run(), is_over));
  office.wait(std::chrono::minutes(5));
  CHECK(office.house.held() == 1);
  stop.advance(Stop::Phase::finish);
  office.house.simulation.settle();
  CHECK(is_over);
}

TEST_CASE("notifier: the postmaster is warned once of mail that waits for long", "[notifier]") {
  Office office;
  office.house.accounts_of([](provider::Customer& customer) {
    if (customer.name == "example") customer.warn_after = std::chrono::hours(72);
  });
  put_aged(office.house, "anna@sender.example", {"x@example.org"}, "one", std::chrono::hours(71));
  put_aged(office.house, "anna@sender.example", {"x@example.org"}, "two", std::chrono::hours(70));
  put_aged(office.house, "anna@sender.example", {"x@other.example"}, "three", std::chrono::hours(100));
  office.work(std::chrono::hours(12), [&] {
    office.wait(std::chrono::minutes(30));
    CHECK(office.host.taken.empty());
  });
  CHECK(office.bounced_to(0) == k_postmaster);
  CHECK(office.host.taken.size() == 1);
  const auto& content = office.host.taken[0].content;
  CHECK(says(content, "Subject: mail waits for example since "));
  CHECK(says(content, "From: odmrd <MAILER-DAEMON@odmr.example.net>\r\n"));
  CHECK(says(content, "Auto-Submitted: auto-generated\r\n"));
  CHECK(says(content, "2 messages of "));
  CHECK(says(content, "example.com, example.org"));
}

TEST_CASE("notifier: a restart warns of nothing again, and the next spell is another one", "[notifier]") {
  Office office;
  office.house.accounts_of([](provider::Customer& customer) {
    if (customer.name == "example") customer.warn_after = std::chrono::hours(72);
  });
  const std::string id =
      put_aged(office.house, "anna@sender.example", {"x@example.org"}, "one", std::chrono::hours(100));
  office.work(std::chrono::hours(2));
  CHECK(office.host.taken.size() == 1);
  office.work(std::chrono::hours(2));
  CHECK(office.host.taken.size() == 1);
  CHECK_FALSE(std::filesystem::is_empty(office.house.directory / "warned"));

  REQUIRE(provider::open_folder(office.house.directory.path(), Folder::held)->remove(id));
  office.work(std::chrono::hours(2));
  CHECK(std::filesystem::is_empty(office.house.directory / "warned"));
  put_aged(office.house, "anna@sender.example", {"x@example.org"}, "two", std::chrono::hours(90));
  office.work(std::chrono::hours(2));
  CHECK(office.host.taken.size() == 2);

  // Where no mark can be kept he is warned all the same.
  std::filesystem::remove_all(office.house.directory / "warned");
  std::ofstream(office.house.directory / "warned") << "in the way";
  office.work(std::chrono::hours(2));
  CHECK(office.host.taken.size() == 3);
  CHECK(office.house.logged("who was warned of mail that waits is not known"));
  CHECK(office.house.logged("the postmaster may be warned once more after a restart"));
}

}  // namespace odmr::test
