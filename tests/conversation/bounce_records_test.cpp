#include "app/bounce_records.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>

#include "../pure/fake_files.hpp"
#include "../pure/temporary_directory.hpp"
#include "app/bounces.hpp"
#include "net/simulation.hpp"
#include "queue/attributes.hpp"
#include "queue/intake.hpp"

using namespace odmr;
using namespace std::string_literals;
using test::FailingFiles;
using test::TemporaryDirectory;

namespace {

class CountingLog final : public Log {
 public:
  bool wants(Level /*level*/) const override { return true; }
  std::size_t errors = 0;

 private:
  void write(Level level, std::string_view /*event*/, const Writable& /*fields*/) override {
    if (level == Level::error) ++errors;
  }
};

struct Queued {
  spool::Envelope envelope;
  std::string text;
};

struct House {
  void keep(const std::string& reverse_path, const std::string& recipient,
            const std::string& header = "Subject: hello\r\n") {
    receive::BounceRecord record;
    record.reverse_path.is_null = reverse_path.empty();
    if (!reverse_path.empty()) record.reverse_path.mailbox = smtp::parse_mailbox(reverse_path).value();
    record.failed.push_back({smtp::parse_mailbox(recipient).value(), smtp::Reply(550, "5.1.1 no such user")});
    record.header = header;
    REQUIRE(app::BounceFolder(directory / "bounces", system_files(), simulation).keep(record));
  }

  Result<void> run(FileOps& files = system_files()) {
    const app::BouncePlace place{directory / "bounces", directory / "queue", "mail.example.org"};
    return app::queue_bounce_records(place, simulation, log, files);
  }

  spool::Store store(const std::string& name) const { return spool::Store::in(directory / name).value(); }

  // By addressee: the clock stands still, so ids are in no order.
  std::vector<Queued> queued() const {
    std::vector<Queued> all;
    const auto queue = spool::Store::in(queue::directory_in(directory.path())).value();
    const auto ids = queue.list().value().ids;
    for (const auto& id : ids) {
      auto message = queue.open(id);
      REQUIRE(message);
      std::string text(message->size(), '\0');
      for (std::size_t length = 0; length < text.size();) {
        length += message->read(text.data() + length, text.size() - length).value();
      }
      all.push_back({message->envelope(), text});
    }
    std::sort(all.begin(), all.end(), [](const Queued& a, const Queued& b) {
      return a.envelope.recipients.front().address < b.envelope.recipients.front().address;
    });
    return all;
  }

  TemporaryDirectory directory;
  CountingLog log;
  net::Simulation simulation;
};

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("bounce records: each becomes a bounce in the queue, and goes", "[bounces]") {
  House house;
  house.keep("anna@example.net", "bob@example.org");
  house.keep("carl@example.net", "dora@example.org");
  REQUIRE(house.run());
  const auto queued = house.queued();
  REQUIRE(queued.size() == 2);
  CHECK(queued[0].envelope.reverse_path.empty());
  REQUIRE(queued[0].envelope.recipients.size() == 1);
  CHECK(queued[0].envelope.recipients[0].address == "anna@example.net");
  CHECK(queued[0].envelope.attributes.empty());
  CHECK(contains(queued[0].text, "\r\nTo: <anna@example.net>\r\n"));
  CHECK(
      contains(queued[0].text, "\r\nFinal-Recipient: rfc822; bob@example.org\r\nAction: failed\r\nStatus: 5.1.1\r\n"));
  CHECK(contains(queued[0].text, "Content-Type: text/rfc822-headers\r\n\r\nSubject: hello\r\n\r\n--=_"));
  CHECK(queued[1].envelope.recipients[0].address == "carl@example.net");
  CHECK(house.store("bounces").list()->ids.empty());
  CHECK(house.log.errors == 0);
  REQUIRE(house.run());
  CHECK(house.queued().size() == 2);
}

TEST_CASE("bounce records: what they need on their way is known", "[bounces]") {
  House house;
  house.keep("anna@example.net", "bob@example.org", "Subject: \xfc\r\n");
  house.keep("änne@example.net", "böb@example.org");
  house.keep("carl@example.net", "böb@example.org");
  REQUIRE(house.run());
  const auto queued = house.queued();
  REQUIRE(queued.size() == 3);
  CHECK(queued[0].envelope.attributes == spool::Attributes{{queue::k_body, "8BITMIME"}});
  CHECK(queued[2].envelope.attributes ==
        spool::Attributes{{queue::k_body, "8BITMIME"}, {queue::k_smtputf8, "envelope"}});
  CHECK(contains(queued[2].text, "message/global-delivery-status"));
  CHECK(queued[1].envelope.attributes.empty());  // any smart host will take it
  CHECK(contains(queued[1].text, "Final-Recipient: utf-8; b\\x{F6}b@example.org\r\n"));
}

TEST_CASE("bounce records: one that nobody can be told of is set aside, and spoken of once", "[bounces]") {
  House house;
  house.keep("", "bob@example.org");
  house.keep("anna@example.net", "bob@example.org");
  REQUIRE(house.run());
  REQUIRE(house.queued().size() == 1);
  CHECK(house.queued()[0].envelope.recipients[0].address == "anna@example.net");
  CHECK(house.store("bounces").list()->ids.empty());
  const auto aside = house.store("bounces").list_aside().value();
  REQUIRE(aside.size() == 1);
  CHECK(contains(test::read_file(house.directory / ("bounces/corrupt/" + aside[0] + ".why")), "nobody can be told"));
  CHECK(house.log.errors == 1);
  REQUIRE(house.run());
  CHECK(house.log.errors == 1);
}

TEST_CASE("bounce records: a damaged one is set aside and stops nothing", "[bounces]") {
  for (const std::string& damaged : {"T"s, "hello"s, "END"s}) {
    CAPTURE(damaged);
    House house;
    house.keep("anna@example.net", "bob@example.org");
    const std::string path = house.directory / ("bounces/held/" + house.store("bounces").list()->ids.front());
    house.keep("carl@example.net", "bob@example.org");
    auto bytes = test::read_file(path);
    bytes[bytes.rfind(damaged)] = '?';
    test::write_file(path, bytes);
    REQUIRE(house.run());
    REQUIRE(house.queued().size() == 1);
    CHECK(house.queued()[0].envelope.recipients[0].address == "carl@example.net");
    CHECK(house.store("bounces").list_aside()->size() == 1);
    CHECK(house.log.errors == 1);
  }
}

TEST_CASE("bounce records: whatever call to the disk fails, or is the last one, each bounce is queued once",
          "[bounces]") {
  std::size_t faults = 0;
  for (const auto how : {FailingFiles::How::refuse, FailingFiles::How::deny, FailingFiles::How::die}) {
    for (std::size_t call = 1;; ++call) {
      CAPTURE(static_cast<int>(how), call);
      House house;
      house.keep("anna@example.net", "bob@example.org");
      house.keep("", "bob@example.org");
      house.keep("carl@example.net", "bob@example.org");
      FailingFiles files(call, how);
      const auto first = house.run(files);
      const bool was_reached = files.reached();
      if (was_reached) ++faults;
      REQUIRE(house.run());
      std::map<std::string, int> told;
      for (const auto& one : house.queued()) ++told[one.envelope.recipients[0].address];
      CHECK(told == std::map<std::string, int>{{"anna@example.net", 1}, {"carl@example.net", 1}});
      CHECK(house.store("bounces").list()->ids.empty());
      CHECK(house.store("bounces").list_aside()->size() == 1);
      if (!was_reached) {
        CHECK(first.has_value());
        break;
      }
    }
  }
  CHECK(faults > 60);
}
