// Putting a message into the queue: its bytes in every way of cutting them, and every fault of the disk.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>

#include "fake_files.hpp"
#include "pieces.hpp"
#include "queue/attributes.hpp"
#include "queue/intake.hpp"
#include "queue/needs.hpp"
#include "temporary_directory.hpp"

using namespace odmr;
using odmr::test::FailingFiles;
using odmr::test::RecordingFiles;
using odmr::test::TemporaryDirectory;

namespace {

const WallTime k_now(std::chrono::seconds(1769853600));
const std::string k_added =
    "From: a@x.example\r\nDate: Sat, 31 Jan 2026 10:00:00 +0000\r\nMessage-ID: <1@x.example>\r\n";

spool::Envelope envelope() {
  spool::Envelope made;
  made.arrival = k_now;
  made.reverse_path = "a@x.example";
  made.attributes[queue::k_submitter] = "uid 1000";
  made.recipients = {{"b@y.example", {}}};
  return made;
}

queue::IntakeOptions as_it_is() {
  queue::IntakeOptions options;
  options.hostname = "x.example";
  options.complete = false;
  return options;
}

struct Stored {
  spool::Envelope envelope;
  std::string text;
};

Stored stored(const spool::Store& store, const std::string& id) {
  auto reader = store.open(id);
  REQUIRE(reader);
  Stored found{reader->envelope(), std::string(reader->size(), '\0')};
  std::size_t have = 0;
  Result<std::size_t> got = 1;
  while (got && *got > 0) {
    char piece[4096];
    got = reader->read(piece, sizeof(piece));
    REQUIRE(got);
    std::copy(piece, piece + *got, found.text.begin() + static_cast<std::ptrdiff_t>(have));
    have += *got;
  }
  CHECK(have == found.text.size());
  return found;
}

// One message through a store of its own, in two pieces.
Stored put(std::string_view first, std::string_view second, const queue::IntakeOptions& options,
           const spool::Envelope& wanted = envelope()) {
  const TemporaryDirectory directory;
  auto store = spool::Store::in(directory / "queue");
  REQUIRE(store);
  queue::Intake intake(*store, wanted, options);
  REQUIRE(intake.write(first));
  REQUIRE(intake.write(second));
  const auto id = intake.commit();
  REQUIRE(id);
  return stored(*store, *id);
}

// The added Message-ID, which is never the same, as a fixed one.
std::string with_fixed_id(std::string text) {
  const auto begin = text.find("Message-ID: <");
  if (begin == std::string::npos) return text;
  const auto end = text.find('>', begin);
  return text.replace(begin, end - begin, "Message-ID: <1@x.example");
}

std::size_t messages_in(const spool::Store& store) {
  const auto listing = store.list();
  REQUIRE(listing);
  return listing->ids.size();
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) names.push_back(entry.path().filename());
  return names;
}

}  // namespace

TEST_CASE("Intake: a relayed message is stored to the byte, however it comes", "[intake]") {
  for (const std::string message : {"Subject: x\r\nBcc: c\r\n\r\nhello\r\n", "no header\r\n", "", "From a b\r\n\r\n"}) {
    test::at_every_split(message, [&](std::string_view first, std::string_view second) {
      const auto found = put(first, second, as_it_is());
      CHECK(found.text == message);
      CHECK(found.envelope == envelope());
    });
  }
}

TEST_CASE("Intake: a message of one's own is completed, however it comes", "[intake]") {
  queue::IntakeOptions options = as_it_is();
  options.complete = true;
  options.from = "a@x.example";
  options.remove_bcc = true;
  const std::string message = "From anna Sat\r\nSubject: x\r\nBcc: c,\r\n d\r\n\r\nBcc: stays\r\n";
  test::at_every_split(message, [&](std::string_view first, std::string_view second) {
    const auto found = put(first, second, options);
    CHECK(with_fixed_id(found.text) == "Subject: x\r\n" + k_added + "\r\nBcc: stays\r\n");
  });
}

TEST_CASE("Intake: Received stands first, with the message's id where it has none", "[intake]") {
  const TemporaryDirectory directory;
  auto store = spool::Store::in(directory / "queue");
  REQUIRE(store);
  for (const std::string given : {"", "abc.1"}) {
    queue::IntakeOptions options = as_it_is();
    options.received.emplace();
    options.received->by = "x.example";
    options.received->id = given;
    options.received->time = k_now;
    queue::Intake intake(*store, envelope(), options);
    REQUIRE(intake.write("Subject: x\r\n\r\n"));
    const auto id = intake.commit();
    REQUIRE(id);
    const auto text = stored(*store, *id).text;
    CHECK(text.starts_with("Received: "));
    CHECK(text.ends_with("+0000\r\nSubject: x\r\n\r\n"));
    CHECK(text.find("\r\n\tid " + (given.empty() ? *id : given) + ";") != std::string::npos);
    CHECK(intake.size() == text.size());
  }
}

TEST_CASE("Intake: what the message asks of the next hop is found out", "[intake]") {
  const auto attribute = [](const Stored& found, const char* name) {
    const auto place = found.envelope.attributes.find(name);
    return place == found.envelope.attributes.end() ? std::string("-") : place->second;
  };
  struct Row {
    std::string message;
    std::string body;
    std::string smtputf8;
  };
  for (const auto& row : std::vector<Row>{{"Subject: x\r\n\r\nplain\r\n", "-", "-"},
                                          {"Subject: x\r\n\r\nJörg\r\n", "8BITMIME", "-"},
                                          {"Subject: Jörg\r\n\r\nplain\r\n", "8BITMIME", "header"},
                                          {"Subject: J\xf6rg\r\n\r\nplain\r\n", "8BITMIME", "-"},
                                          {"J\xc3\xb6rg, no header\r\n", "8BITMIME", "-"}}) {
    INFO(row.message);
    const auto found = put(row.message, "", as_it_is());
    CHECK(attribute(found, queue::k_body) == row.body);
    CHECK(attribute(found, queue::k_smtputf8) == row.smtputf8);
  }
  auto foreign = envelope();
  foreign.recipients.push_back({"jörg@y.example", {}});
  CHECK(attribute(put("Subject: x\r\n\r\n", "", as_it_is(), foreign), queue::k_smtputf8) == "envelope");
  // Of what is longer than is kept back the worst is assumed.
  const std::string long_one = "Subject: x\r\n\r\n" + std::string(300 * 1024, 'x');
  CHECK(attribute(put(long_one, "\r\n", as_it_is()), queue::k_body) == "8BITMIME");
  CHECK(attribute(put("", long_one, as_it_is()), queue::k_body) == "8BITMIME");
}

TEST_CASE("Intake: a large message goes through, whole", "[intake]") {
  queue::IntakeOptions options = as_it_is();
  options.complete = true;
  options.from = "a@x.example";
  std::string body;
  for (int i = 0; body.size() < 700 * 1024; ++i) body += "line " + std::to_string(i) + "\r\n";
  const auto found = put("Subject: x\r\n\r\n" + body.substr(0, 300 * 1024), body.substr(300 * 1024), options);
  CHECK(with_fixed_id(found.text) == "Subject: x\r\n" + k_added + "\r\n" + body);
}

TEST_CASE("Intake: two syncs, and the rename between them", "[intake]") {
  const TemporaryDirectory directory;
  RecordingFiles files;
  auto store = spool::Store::in(directory / "queue", files);
  REQUIRE(store);
  files.calls.clear();
  queue::Intake intake(*store, envelope(), as_it_is());
  REQUIRE(intake.write("Subject: x\r\n\r\nhello\r\n"));
  CHECK(files.calls.empty());
  const auto id = intake.commit();
  REQUIRE(id);
  std::vector<std::string> order;
  for (const auto& call : files.calls) {
    const auto word = call.substr(0, call.find(' '));
    if (word == "sync" || word == "rename") order.push_back(call);
  }
  CHECK(order == std::vector<std::string>{"sync " + *id, "rename tmp/" + *id + " held/" + *id, "sync held"});
}

TEST_CASE("Intake: any fault of the disk is an error, and a refused one leaves nothing", "[intake]") {
  for (const auto how : {FailingFiles::How::refuse, FailingFiles::How::deny}) {
    for (std::size_t which = 1;; ++which) {
      INFO(which);
      const TemporaryDirectory directory;
      // Its directories are there already; the faults are those of one message.
      REQUIRE(spool::Store::in(directory / "queue"));
      FailingFiles none(1'000'000, how);
      auto counted = spool::Store::in(directory / "queue", none);
      REQUIRE(counted);
      FailingFiles files(which, how, ENOSPC);
      auto store = spool::Store::in(directory / "queue", files);
      if (!store) continue;
      queue::Intake intake(*store, envelope(), as_it_is());
      auto id = Result<std::string>(fail(Errc::io, "not tried"));
      if (intake.write("Subject: x\r\n\r\nhello\r\n")) id = intake.commit();
      if (!files.reached()) {
        CHECK(id);
        break;
      }
      if (id) {
        // Only what is done after the last sync may fail unseen.
        CHECK(messages_in(*counted) == 1);
        continue;
      }
      CHECK(id.error().code == Errc::no_space);
      // What was done and denied may stand: a whole message, or a file in tmp/ that recover() takes away.
      if (how == FailingFiles::How::refuse) {
        CHECK(messages_in(*counted) == 0);
        CHECK(names_in(directory / "queue/tmp").empty());
      }
      CHECK(intake.commit() == tl::unexpected(id.error()));
    }
  }
}

TEST_CASE("Intake: a large message that meets a full disk says so at the piece, and again", "[intake]") {
  const TemporaryDirectory directory;
  REQUIRE(spool::Store::in(directory / "queue"));
  bool seen = false;
  for (std::size_t which = 1; which < 60 && !seen; ++which) {
    FailingFiles files(which, FailingFiles::How::refuse, ENOSPC);
    auto store = spool::Store::in(directory / "queue", files);
    if (!store) continue;
    queue::Intake intake(*store, envelope(), as_it_is());
    REQUIRE(intake.write("Subject: x\r\n\r\n"));
    const auto written = intake.write(std::string(400 * 1024, 'x'));
    if (written) continue;
    seen = true;
    CHECK(written.error().code == Errc::no_space);
    CHECK(intake.write("more") == tl::unexpected(written.error()));
    CHECK_FALSE(intake.commit());
    CHECK(names_in(directory / "queue/tmp").empty());
  }
  CHECK(seen);
}

TEST_CASE("Intake: the limit counts what is stored, and leaves nothing behind", "[intake]") {
  const TemporaryDirectory directory;
  auto store = spool::Store::in(directory / "queue");
  REQUIRE(store);
  const std::string message = "Subject: x\r\n\r\nhello\r\n";
  queue::IntakeOptions options = as_it_is();
  options.max_size = message.size();
  {
    queue::Intake fits(*store, envelope(), options);
    REQUIRE(fits.write(message));
    CHECK(fits.commit());
  }
  queue::Intake over(*store, envelope(), options);
  REQUIRE(over.write(message));
  const auto written = over.write("x");
  REQUIRE_FALSE(written);
  CHECK(written.error().code == Errc::too_long);
  CHECK_FALSE(over.commit());
  // Our own lines count, too.
  options.complete = true;
  options.from = "a@x.example";
  queue::Intake completed(*store, envelope(), options);
  REQUIRE(completed.write(message));
  const auto committed = completed.commit();
  REQUIRE_FALSE(committed);
  CHECK(committed.error().code == Errc::too_long);
  // And so they do in a large one.
  options.max_size = 300 * 1024;
  queue::Intake large(*store, envelope(), options);
  REQUIRE(large.write(message + std::string(290 * 1024, 'x')));
  const auto last = large.write(std::string(20 * 1024, 'x'));
  REQUIRE_FALSE(last);
  CHECK(last.error().code == Errc::too_long);
  CHECK(messages_in(*store) == 1);
  CHECK(names_in(directory / "queue/tmp").empty());
}

TEST_CASE("Intake: destroyed before its commit it leaves nothing", "[intake]") {
  const TemporaryDirectory directory;
  auto store = spool::Store::in(directory / "queue");
  REQUIRE(store);
  {
    queue::Intake intake(*store, envelope(), as_it_is());
    REQUIRE(intake.write("Subject: x\r\n\r\n" + std::string(400 * 1024, 'x')));
    CHECK(names_in(directory / "queue/tmp").size() == 1);
  }
  CHECK(names_in(directory / "queue/tmp").empty());
  CHECK(messages_in(*store) == 0);
}

TEST_CASE("Intake: a message is committed once", "[intake]") {
  const TemporaryDirectory directory;
  auto store = spool::Store::in(directory / "queue");
  REQUIRE(store);
  queue::Intake intake(*store, envelope(), as_it_is());
  REQUIRE(intake.write("Subject: x\r\n\r\n"));
  CHECK(intake.commit());
  CHECK_FALSE(intake.commit());
  CHECK_FALSE(intake.write("x"));
  CHECK(messages_in(*store) == 1);
}
