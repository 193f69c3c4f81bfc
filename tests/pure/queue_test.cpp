#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <thread>

#include "db/database.hpp"
#include "fake_files.hpp"
#include "queue_stage.hpp"

using namespace odmr;
using namespace odmr::queue;
using namespace odmr::test;
using namespace std::chrono_literals;

namespace {

using Ids = std::vector<std::string>;
using How = Queue::NoticeOutcome::How;

std::vector<std::string> names(const std::string& directory) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) found.push_back(entry.path().filename());
  std::sort(found.begin(), found.end());
  return found;
}

Result<void> settle(Queue& queue, const Attempt& attempt) {
  return queue.settle({attempt}).front();
}

void lose_index(const QueueStage& stage) {
  REQUIRE(db::Database::remove(stage.directory / "index.db"));
}

// The same message, seen by a new object, and by a new object with a new index.
Entry seen_anew(QueueStage& stage, const std::string& id, bool without_index) {
  if (without_index) lose_index(stage);
  Queue queue = stage.start();
  for (const auto& entry : entries(queue)) {
    if (entry.id != id) continue;
    CHECK(queue.show(id)->stopped == entry.stopped);
    return entry;
  }
  FAIL("it is gone");
  return {};
}

// A bounce or a notice that is due now.
std::optional<Notice> notice_about(Queue& queue, const std::string& id) {
  const auto due = queue.notices_due(false, 10).value();
  if (std::find(due.begin(), due.end(), id) == due.end()) return std::nullopt;
  auto notice = queue.take_notice(id);
  REQUIRE(notice);
  return std::move(*notice);
}

}  // namespace

TEST_CASE("a message is found, given once, taken, and gone when all have it", "[queue]") {
  QueueStage stage;
  const auto first = stage.put();
  stage.clock.pass(1s);
  const auto second = stage.put(2);
  Queue queue = stage.start();
  CHECK(queue.has_due(false) == true);
  CHECK(queue.due(false, 1) == Ids{first});
  CHECK(queue.due(false, 5) == Ids{second});
  CHECK(queue.due(false, 5) == Ids{});
  CHECK(queue.due(true, 5) == Ids{});
  CHECK(queue.has_due(true) == false);
  {
    auto letter = take(queue, second);
    CHECK(letter.waiting == std::vector<std::size_t>{0, 1});
    CHECK(letter.message.envelope().recipients.size() == 2);
    REQUIRE(settle(queue, sent(second, {1})));
  }
  CHECK(take(queue, second).waiting == std::vector<std::size_t>{0});
  CHECK(names(stage.directory / "held").size() == 3);
  REQUIRE(settle(queue, sent(second, {0})));
  REQUIRE(settle(queue, sent(first)));
  CHECK(names(stage.directory / "held").empty());
  CHECK(entries(queue).empty());
  CHECK(queue.sums()->messages == 0);
  CHECK(queue.take(first).value() == std::nullopt);
  CHECK(stage.log.lines.empty());
}

TEST_CASE("a batch costs one sync of the directory, and one for each message that stays", "[queue]") {
  QueueStage stage;
  RecordingFiles files;
  const Ids ids{stage.put(), stage.put(), stage.put(2), stage.put(2), stage.put()};
  Queue queue = stage.start(files);
  std::vector<Letter> letters;
  for (const auto& id : ids) letters.push_back(take(queue, id));
  files.calls.clear();
  for (const auto& result :
       queue.settle({sent(ids[0]), sent(ids[1]), sent(ids[2]), failed(ids[3], 1), put_off(ids[4])})) {
    CHECK(result);
  }
  std::vector<std::string> syncs;
  for (const auto& call : files.calls) {
    if (call.starts_with("sync")) syncs.push_back(call);
  }
  CHECK(syncs == std::vector<std::string>{"sync " + ids[2] + ".done", "sync " + ids[3] + ".done", "sync held"});
  // Nothing was opened again to find out.
  CHECK(std::none_of(files.calls.begin(), files.calls.end(),
                     [](const std::string& call) { return call.starts_with("open"); }));

  // To put off is no matter of the disk.
  files.calls.clear();
  REQUIRE(settle(queue, put_off(ids[4])));
  CHECK(std::none_of(files.calls.begin(), files.calls.end(),
                     [](const std::string& call) { return call.starts_with("sync"); }));
}

TEST_CASE("what was put off waits, and is honoured by the next process", "[queue]") {
  QueueStage stage;
  const auto id = stage.put(2);
  {
    Queue queue = stage.start();
    const auto letter = take(queue, id);
    REQUIRE(settle(queue, put_off(id, 1)));
  }
  Queue queue = stage.start();
  CHECK(all_due(queue).empty());
  const auto entry = entries(queue).at(0);
  CHECK(entry.tries == 1);
  CHECK(entry.reply == "451 4.3.0 later");
  CHECK(entry.recipients.at(0).reply.empty());
  CHECK(entry.recipients.at(1).reply == "451 4.3.0 later");
  CHECK(entry.next_try >= stage.clock.time + 270s);
  CHECK(entry.next_try <= stage.clock.time + 330s);
  CHECK(queue.sums()->next_try == entry.next_try);
  const auto shown = queue.show(id).value();
  CHECK(shown.next_try == entry.next_try);
  CHECK(shown.recipients.at(1).reply == "451 4.3.0 later");
  CHECK(all_due(queue, true) == Ids{id});

  stage.clock.pass(400s);
  Queue later = stage.start();
  CHECK(all_due(later) == Ids{id});
}

TEST_CASE("an attempt that broke off puts off all that wait; one that says nothing changes nothing", "[queue]") {
  QueueStage stage;
  const auto id = stage.put(2);
  Queue queue = stage.start();
  REQUIRE(settle(queue, {id, {}, {}, {}, {}}));
  CHECK(entries(queue).at(0).tries == 0);
  REQUIRE(settle(queue, {id, {0}, {}, {}, "the line broke"}));
  const auto entry = entries(queue).at(0);
  CHECK(entry.tries == 1);
  CHECK(entry.reply == "the line broke");
  CHECK(entry.next_try > stage.clock.time);
  CHECK(entry.recipients.at(0).standing == Standing::sent);
  CHECK(entry.recipients.at(1).standing == Standing::waiting);
}

TEST_CASE("a next try in the far future is a clock that was wrong", "[queue]") {
  QueueStage stage;
  const auto id = stage.put();
  const WallTime right = stage.clock.time;
  stage.clock.pass(48h);
  {
    Queue queue = stage.start();
    REQUIRE(settle(queue, put_off(id)));
  }
  stage.clock.time = right;
  Queue queue = stage.start();
  CHECK(all_due(queue) == Ids{id});
}

TEST_CASE("a message from the future is due, and has not waited", "[queue]") {
  QueueStage stage;
  stage.clock.pass(24h * 30);
  const auto id = stage.put();
  stage.clock.pass(-24h * 30);
  Queue queue = stage.start();
  CHECK(all_due(queue) == Ids{id});
  REQUIRE(settle(queue, put_off(id)));
  CHECK(entries(queue).at(0).recipients.at(0).standing == Standing::waiting);
  CHECK(entries(queue).at(0).next_try < stage.clock.time + 331s);
}

TEST_CASE("a message from the future lives as long as any other, from when it was first seen", "[queue]") {
  for (const bool is_known : {false, true}) {
    CAPTURE(is_known);
    QueueStage stage;
    const auto now = stage.clock.time;
    stage.clock.pass(24h * 365);
    const auto id = stage.put();
    if (is_known) stage.start();
    stage.clock.time = now;
    REQUIRE(settle(*std::make_unique<Queue>(stage.start()), put_off(id)));
    CHECK(stage.log.count("warn a message comes from the future") == 1);
    stage.clock.pass(24h * 4);
    lose_index(stage);
    {
      Queue queue = stage.start();
      CHECK(queue.expire(smtp::Reply(451, "4.4.1 no answer")) == 0);
    }
    stage.clock.pass(24h + 1min);
    Queue queue = stage.start();
    CHECK(queue.expire(smtp::Reply(451, "4.4.1 no answer")) == 1);
    CHECK(entries(queue).at(0).recipients.at(0).standing == Standing::failed);
    CHECK(stage.log.count("warn a message comes from the future") == 1);
  }
}

TEST_CASE("a clock that was behind for a while costs no message its lifetime", "[queue]") {
  for (const auto behind : {24h * 400, 24h * 15000}) {  // the second one: not set since 1970 but for some years
    QueueStage stage;
    const auto id = stage.put();
    const auto right = stage.clock.time;
    stage.clock.pass(-behind);
    stage.start();
    CHECK(names(stage.directory / "held").size() == (behind == 24h * 400 ? 2 : 1));
    stage.clock.time = right;
    stage.clock.pass(24h * 4);
    Queue queue = stage.start();
    CHECK(queue.expire(smtp::Reply(451, "4.4.1 no answer")) == 0);
    REQUIRE(settle(queue, put_off(id)));
    CHECK(entries(queue).at(0).recipients.at(0).standing == Standing::waiting);
  }
}

TEST_CASE("whether notes can be written is seen before it matters, and nothing stays of it", "[queue]") {
  std::size_t faults = 0;
  for (const auto how : {FailingFiles::How::refuse, FailingFiles::How::deny, FailingFiles::How::die}) {
    for (std::size_t call = 1;; ++call) {
      CAPTURE(static_cast<int>(how), call);
      QueueStage stage;
      const auto id = stage.put();
      stage.start();
      FailingFiles files(call, how);
      const auto store = spool::Store::in(stage.directory.path(), files);
      const bool is_good = store && store->try_note();
      CHECK(is_good != files.reached());
      if (files.reached()) ++faults;
      Queue queue = stage.start();
      CHECK(names(stage.directory / "held") == Ids{id});
      CHECK(all_due(queue) == Ids{id});
      if (!files.reached()) break;
    }
  }
  CHECK(faults > 15);
}

TEST_CASE("a note that is tried is written, synced and taken away, with its directory", "[queue]") {
  QueueStage stage;
  stage.start();
  RecordingFiles files;
  auto store = spool::Store::in(stage.directory.path(), files);
  files.calls.clear();
  REQUIRE(store->try_note());
  const std::string name = spool::Store::sample_id() + ".done";
  CHECK(files.calls == Ids{"append held/" + name, "status " + name, "write " + name, "sync " + name, "close " + name,
                           "sync held", "unlink held/" + name});
}

TEST_CASE("of a bounce that waits a list shows the next time, and why", "[queue]") {
  QueueStage stage;
  const auto id = stage.put();
  Queue queue = stage.start();
  REQUIRE(settle(queue, failed(id)));
  CHECK(entries(queue).at(0).is_untold);
  CHECK(entries(queue).at(0).next_try <= stage.clock.time);
  stage.clock.pass(1h);
  auto notice = notice_about(queue, id);
  REQUIRE(notice);
  REQUIRE(queue.settle_notice(*notice, {How::put_off, "the target is down"}));
  for (const auto& entry : {entries(queue).at(0), queue.show(id).value()}) {
    CHECK(entry.is_untold);
    CHECK(entry.next_try > stage.clock.time);
    CHECK(entry.reply == "the target is down");
    CHECK(entry.recipients.at(0).reply == "550 5.1.1 no such user");
  }
  CHECK(queue.notices_due(false, 10)->empty());
  stage.clock.time = entries(queue).at(0).next_try;
  Queue next = stage.start();
  CHECK(next.notices_due(false, 10) == Ids{id});
}

TEST_CASE("what the target said to a bounce survives the loss of the index, beside what the host said", "[queue]") {
  for (const bool without_index : {false, true}) {
    QueueStage stage;
    const auto id = stage.put();
    {
      Queue queue = stage.start();
      REQUIRE(settle(queue, failed(id)));
      auto notice = notice_about(queue, id);
      REQUIRE(notice);
      REQUIRE(queue.settle_notice(*notice, {How::undeliverable, "550 5.7.1 no bounces"}));
    }
    const auto entry = seen_anew(stage, id, without_index);
    CHECK(entry.stopped == Stopped::undeliverable);
    CHECK(entry.reply == "550 5.7.1 no bounces");
    CHECK(entry.recipients.at(0).reply == "550 5.1.1 no such user");
    Queue queue = stage.start();
    CHECK(queue.undeliverable(10)->size() == 1);
    CHECK(queue.undeliverable(10)->at(0).reply == "550 5.7.1 no bounces");
  }
}

TEST_CASE("a message that comes during a run is found by the next refresh", "[queue]") {
  QueueStage stage;
  const auto first = stage.put();
  Queue queue = stage.start();
  CHECK(all_due(queue) == Ids{first});
  const auto second = stage.put();
  CHECK(all_due(queue).empty());
  REQUIRE(queue.refresh());
  CHECK(all_due(queue) == Ids{second});
}

TEST_CASE("the longest due comes first", "[queue]") {
  QueueStage stage;
  const auto old = stage.put();
  stage.clock.pass(1s);
  const auto young = stage.put();
  {
    Queue queue = stage.start();
    REQUIRE(settle(queue, put_off(old)));
  }
  stage.clock.pass(1h);
  Queue queue = stage.start();
  CHECK(all_due(queue) == Ids{young, old});
}

TEST_CASE("every note survives the loss of the index", "[queue]") {
  QueueStage stage;
  stage.options.delay_notice = 4h;
  const bool without_index = GENERATE(false, true);
  CAPTURE(without_index);
  const auto id = stage.put(4);
  {
    Queue queue = stage.start();
    REQUIRE(
        settle(queue, {id, {0}, {{1, smtp::Reply(550, std::vector<std::string>{"5.1.1 no", "such user"})}}, {}, {}}));
  }
  auto entry = seen_anew(stage, id, without_index);
  CHECK(entry.recipients.at(0).standing == Standing::sent);
  CHECK(entry.recipients.at(1).standing == Standing::failed);
  CHECK(entry.recipients.at(1).reply == "550 5.1.1 no such user");
  CHECK(entry.recipients.at(2).standing == Standing::waiting);
  {
    Queue queue = stage.start();
    auto notice = notice_about(queue, id);
    REQUIRE(notice);
    CHECK(notice->about == Notice::About::failure);
    REQUIRE(notice->recipients.size() == 1);
    CHECK(notice->recipients[0].recipient == 1);
    CHECK(notice->recipients[0].reply == smtp::Reply(550, "5.1.1 no such user"));
    REQUIRE(queue.settle_notice(*notice, {How::told, ""}));
  }
  entry = seen_anew(stage, id, without_index);
  CHECK(entry.recipients.at(1).standing == Standing::told);
  {
    Queue queue = stage.start();
    REQUIRE(queue.hold(id));
  }
  CHECK(seen_anew(stage, id, without_index).stopped == Stopped::held);
  {
    Queue queue = stage.start();
    CHECK(all_due(queue, true).empty());
    REQUIRE(queue.release(id));
  }
  CHECK(seen_anew(stage, id, without_index).stopped == Stopped::no);
  stage.clock.pass(5h);
  {
    Queue queue = stage.start();
    auto notice = notice_about(queue, id);
    REQUIRE(notice);
    CHECK(notice->about == Notice::About::delay);
    CHECK(notice->recipients.size() == 2);
    REQUIRE(queue.settle_notice(*notice, {How::told, ""}));
  }
  seen_anew(stage, id, without_index);
  {
    Queue queue = stage.start();
    CHECK_FALSE(notice_about(queue, id));
    REQUIRE(settle(queue, failed(id, 2)));
    auto notice = notice_about(queue, id);
    REQUIRE(notice);
    REQUIRE(queue.settle_notice(*notice, {How::undeliverable, "550 nobody here"}));
    CHECK(entries(queue).at(0).stopped == Stopped::no);
    REQUIRE(settle(queue, sent(id, {3})));
  }
  CHECK(seen_anew(stage, id, without_index).stopped == Stopped::undeliverable);
  {
    Queue queue = stage.start();
    CHECK(all_due(queue, true).empty());
    CHECK_FALSE(notice_about(queue, id));
    CHECK(queue.sums()->undeliverable == 1);
    REQUIRE(queue.retry(id));
  }
  entry = seen_anew(stage, id, without_index);
  CHECK(entry.stopped == Stopped::no);
  CHECK(entry.recipients.at(2).standing == Standing::waiting);
  Queue queue = stage.start();
  CHECK(all_due(queue) == Ids{id});
  REQUIRE(settle(queue, sent(id, {2})));
  CHECK(names(stage.directory / "held").empty());
}

TEST_CASE("a torn note counts for nothing, whatever it was about", "[queue]") {
  QueueStage stage;
  const auto id = stage.put(2);
  const std::string path = stage.directory / "held/" + id + ".done";
  for (const Attempt& attempt : {sent(id), failed(id)}) {
    std::filesystem::remove(path);
    {
      Queue queue = stage.start();
      REQUIRE(settle(queue, attempt));
    }
    const std::string whole = read_file(path);
    for (std::size_t length = 0; length < whole.size(); ++length) {
      CAPTURE(length);
      write_file(path, whole.substr(0, length));
      Queue queue = stage.start();
      CHECK(take(queue, id).waiting == std::vector<std::size_t>{0, 1});
      REQUIRE(settle(queue, sent(id, {1})));
      CHECK(take(queue, id).waiting == std::vector<std::size_t>{0});
    }
  }
}

TEST_CASE("failures are told to the sender, once", "[queue]") {
  QueueStage stage;
  const auto id = stage.put(2);
  Queue queue = stage.start();
  REQUIRE(queue.settle({{id, {}, {{0, smtp::Reply(550, "a")}, {1, smtp::Reply(551, "b")}}, {}, {}}}).front());
  CHECK(all_due(queue, true).empty());
  CHECK(queue.notices_due(false, 10) == Ids{id});
  CHECK(queue.notices_due(false, 10) == Ids{});
  {
    auto notice = queue.take_notice(id).value();
    REQUIRE(notice);
    CHECK(notice->recipients.size() == 2);
    CHECK(queue.hold(id).error().code == Errc::busy);
    REQUIRE(queue.settle_notice(*notice, {How::told, ""}));
  }
  CHECK(names(stage.directory / "held").empty());
  CHECK(entries(queue).empty());
  CHECK(queue.take_notice(id).value() == std::nullopt);
}

TEST_CASE("a bounce that is put off comes again, until its own lifetime is over", "[queue]") {
  QueueStage stage;
  const auto id = stage.put();
  stage.clock.pass(121h);
  {
    // The message is too old by now; its bounce is not.
    Queue queue = stage.start();
    REQUIRE(settle(queue, put_off(id)));
    auto notice = notice_about(queue, id);
    REQUIRE(notice);
    REQUIRE(queue.settle_notice(*notice, {How::put_off, "451 later"}));
    CHECK_FALSE(notice_about(queue, id));
  }
  {
    Queue queue = stage.start();
    CHECK_FALSE(notice_about(queue, id));
  }
  stage.clock.pass(119h);
  {
    Queue queue = stage.start();
    auto notice = notice_about(queue, id);
    REQUIRE(notice);
    REQUIRE(queue.settle_notice(*notice, {How::put_off, "451 later"}));
    CHECK(entries(queue).at(0).stopped == Stopped::no);
  }
  stage.clock.pass(2h);
  Queue queue = stage.start();
  auto notice = notice_about(queue, id);
  REQUIRE(notice);
  REQUIRE(queue.settle_notice(*notice, {How::put_off, "451 later"}));
  CHECK(entries(queue).at(0).stopped == Stopped::undeliverable);
  CHECK(stage.log.count("error a message cannot be delivered, and nobody can be told") == 1);
}

TEST_CASE("beyond its lifetime what is put off has failed", "[queue]") {
  QueueStage stage;
  const auto id = stage.put(3);
  Queue queue = stage.start();
  stage.clock.pass(120h);
  REQUIRE(settle(queue, put_off(id, 0)));
  CHECK(entries(queue).at(0).recipients.at(0).standing == Standing::waiting);
  stage.clock.pass(1s);
  REQUIRE(settle(queue, put_off(id, 0)));
  auto recipients = entries(queue).at(0).recipients;
  CHECK(recipients.at(0).standing == Standing::failed);
  CHECK(recipients.at(0).reply == "451 4.4.7 not sent within 5d; last: 451 4.3.0 later");
  CHECK(recipients.at(1).standing == Standing::waiting);
  REQUIRE(settle(queue, {id, {1}, {}, {}, "the line broke"}));
  recipients = entries(queue).at(0).recipients;
  CHECK(recipients.at(1).standing == Standing::sent);
  CHECK(recipients.at(2).reply == "451 4.4.7 not sent within 5d; last: the line broke");
}

TEST_CASE("what can never be tried expires, too", "[queue]") {
  QueueStage stage;
  const auto said = stage.put();
  const auto silent = stage.put();
  const auto held = stage.put();
  const auto taken = stage.put();
  stage.clock.pass(100h);
  const auto young = stage.put();
  Queue queue = stage.start();
  REQUIRE(settle(queue, put_off(said)));
  REQUIRE(queue.hold(held));
  CHECK(queue.expire(smtp::Reply(451, "4.4.1 no answer")) == 0);
  stage.clock.pass(21h);
  {
    const auto letter = take(queue, taken);
    CHECK(queue.expire(smtp::Reply(451, "4.4.1 no answer")) == 2);
  }
  const auto reply = [&](const std::string& id) { return queue.show(id)->recipients.at(0).reply; };
  CHECK(reply(said) == "451 4.4.7 not sent within 5d; last: 451 4.3.0 later");
  CHECK(reply(silent) == "451 4.4.7 not sent within 5d; last: 451 4.4.1 no answer");
  for (const auto& id : {held, taken, young}) {
    CHECK(queue.show(id)->recipients.at(0).standing == Standing::waiting);
  }
  auto bounces = queue.notices_due(false, 10).value();
  std::sort(bounces.begin(), bounces.end());
  CHECK(bounces == Ids{said, silent});
}

TEST_CASE("mail from the null reverse-path that fails stays to be looked at", "[queue]") {
  QueueStage stage;
  const auto id = stage.put(2, "");
  Queue queue = stage.start();
  REQUIRE(settle(queue, failed(id, 0)));
  CHECK(entries(queue).at(0).stopped == Stopped::no);
  CHECK(queue.notices_due(false, 10) == Ids{});
  REQUIRE(settle(queue, failed(id, 1)));
  CHECK(entries(queue).at(0).stopped == Stopped::undeliverable);
  CHECK(queue.notices_due(false, 10) == Ids{});
  CHECK(stage.log.count("error a message cannot be delivered") == 2);
  CHECK(seen_anew(stage, id, true).stopped == Stopped::undeliverable);
  CHECK(stage.log.count("error") == 2);

  REQUIRE(queue.retry(id));
  CHECK(all_due(queue) == Ids{id});
  REQUIRE(settle(queue, sent(id, {0, 1})));
  CHECK(names(stage.directory / "held").empty());
}

TEST_CASE("who wants no bounce gets none", "[queue]") {
  QueueStage stage;
  for (const char* notify : {"NEVER", "never", "SUCCESS", "SUCCESS,DELAY"}) {
    CAPTURE(notify);
    const auto id = stage.put({{"b@example.net", {{"notify", notify}}}, {"c@example.net", {}}});
    Queue queue = stage.start();
    REQUIRE(settle(queue, failed(id, 0)));
    CHECK(entries(queue).at(0).recipients.at(0).standing == Standing::told);
    CHECK(queue.notices_due(false, 10) == Ids{});
    REQUIRE(settle(queue, sent(id, {1})));
  }
  CHECK(names(stage.directory / "held").empty());
  const auto null = stage.put({{"b@example.net", {{"notify", "NEVER"}}}}, "");
  Queue queue = stage.start();
  REQUIRE(settle(queue, failed(null)));
  CHECK(names(stage.directory / "held").empty());

  for (const char* notify : {"FAILURE", "success, failure", "DELAY,FAILURE"}) {
    CAPTURE(notify);
    const auto id = stage.put({{"b@example.net", {{"notify", notify}}}});
    REQUIRE(queue.refresh());
    REQUIRE(settle(queue, failed(id)));
    CHECK(queue.notices_due(false, 10) == Ids{id});
  }
}

TEST_CASE("a notice of delay comes once, to who may have it", "[queue]") {
  QueueStage stage;
  const auto plain = stage.put();
  const auto null = stage.put(1, "");
  const auto never = stage.put({{"b@example.net", {{"notify", "NEVER"}}}});
  const auto mixed = stage.put({{"b@example.net", {{"notify", "FAILURE"}}}, {"c@example.net", {{"notify", "delay"}}}});
  const auto refused = stage.put();
  {
    Queue queue = stage.start();
    REQUIRE(settle(queue, put_off(plain)));
  }
  stage.clock.pass(5h);
  {
    Queue queue = stage.start();
    CHECK(queue.notices_due(false, 10) == Ids{});
  }
  stage.options.delay_notice = 4h;
  {
    Queue queue = stage.start();
    auto due = queue.notices_due(false, 10).value();
    std::sort(due.begin(), due.end());
    CHECK(due == Ids{plain, mixed, refused});
    const auto first = queue.take_notice(plain).value();
    REQUIRE(first);
    CHECK(first->about == Notice::About::delay);
    REQUIRE(first->recipients.size() == 1);
    CHECK(first->recipients[0].reply == smtp::Reply(451, "4.3.0 later"));
    REQUIRE(queue.settle_notice(*first, {How::put_off, "451"}));
    const auto second = queue.take_notice(mixed).value();
    REQUIRE(second);
    REQUIRE(second->recipients.size() == 1);
    CHECK(second->recipients[0].recipient == 1);
    REQUIRE(queue.settle_notice(*second, {How::told, ""}));
    const auto third = queue.take_notice(refused).value();
    REQUIRE(third);
    REQUIRE(queue.settle_notice(*third, {How::undeliverable, "550 no"}));
    CHECK(entries(queue).at(4).stopped == Stopped::no);
  }
  stage.clock.pass(2h);
  lose_index(stage);
  Queue queue = stage.start();
  CHECK(queue.notices_due(false, 10) == Ids{plain});
  CHECK(queue.show(null)->stopped == Stopped::no);
  CHECK(queue.show(never)->stopped == Stopped::no);
}

TEST_CASE("held mail is left alone until it is released", "[queue]") {
  QueueStage stage;
  const auto waits = stage.put();
  const auto failure = stage.put();
  Queue queue = stage.start();
  REQUIRE(settle(queue, failed(failure)));
  for (const auto& id : {waits, failure}) {
    REQUIRE(queue.hold(id));
    REQUIRE(queue.hold(id));
    CHECK(queue.show(id)->stopped == Stopped::held);
  }
  CHECK(all_due(queue, true).empty());
  CHECK(queue.notices_due(false, 10) == Ids{});
  CHECK(queue.take(waits).value() == std::nullopt);
  CHECK(queue.take_notice(failure).value() == std::nullopt);
  CHECK(queue.sums()->held == 2);
  REQUIRE(queue.retry(waits));
  CHECK(all_due(queue, true).empty());
  for (const auto& id : {waits, failure}) REQUIRE(queue.release(id));
  CHECK(all_due(queue) == Ids{waits});
  CHECK(queue.notices_due(false, 10) == Ids{failure});
}

TEST_CASE("what is being sent is not to be had, by any object or hand", "[queue]") {
  QueueStage stage;
  const auto id = stage.put();
  Queue queue = stage.start();
  Queue other = stage.open();
  REQUIRE(other.refresh());
  {
    const auto letter = take(queue, id);
    for (Queue* hand : {&queue, &other}) {
      CHECK(hand->take(id).value() == std::nullopt);
      CHECK(hand->take_notice(id).value() == std::nullopt);
      CHECK(hand->hold(id).error() == Error{Errc::busy, id + " is being sent now"});
      CHECK(hand->release(id).error().code == Errc::busy);
      CHECK(hand->retry(id).error().code == Errc::busy);
      CHECK(hand->remove(id).error().code == Errc::busy);
    }
  }
  CHECK(take(other, id).id == id);
  REQUIRE(other.remove(id));
  CHECK(queue.take(id).value() == std::nullopt);
  CHECK(entries(queue).empty());
}

TEST_CASE("the hand names messages that are there", "[queue]") {
  QueueStage stage;
  const auto id = stage.put();
  Queue queue = stage.start();
  REQUIRE(queue.remove(id));
  for (const std::string& none : {id, std::string("../held"), std::string()}) {
    for (const auto& done : {queue.hold(none), queue.release(none), queue.remove(none)}) {
      CHECK(done.error().code == Errc::not_found);
    }
    CHECK(queue.retry(none).error().code == Errc::not_found);
    CHECK(queue.show(none).error().code == Errc::not_found);
    CHECK(queue.open(none).error().code == Errc::not_found);
    CHECK(queue.take(none).value() == std::nullopt);
  }
}

TEST_CASE("retry makes due, in this run and for the next process", "[queue]") {
  QueueStage stage;
  const auto id = stage.put();
  Queue queue = stage.start();
  CHECK(all_due(queue) == Ids{id});
  REQUIRE(settle(queue, put_off(id)));
  CHECK(all_due(queue).empty());
  Queue hand = stage.open();
  REQUIRE(hand.retry(id));
  Queue next = stage.start();
  CHECK(all_due(next) == Ids{id});
  REQUIRE(queue.retry(id));
  CHECK(all_due(queue) == Ids{id});
}

TEST_CASE("what the hand removed under a sender is over", "[queue]") {
  QueueStage stage;
  const auto id = stage.put(2);
  Queue queue = stage.start();
  static_cast<void>(take(queue, id));  // the letter is dropped, against the rules
  REQUIRE(stage.open().remove(id));
  CHECK(settle(queue, sent(id)));
  CHECK(entries(queue).empty());
  CHECK(names(stage.directory / "held").empty());
}

TEST_CASE("damaged messages are set aside and hold up nothing", "[queue]") {
  QueueStage stage;
  const auto head = stage.put();
  const auto body = stage.put();
  const auto good = stage.put();
  const auto spoil = [&](const std::string& id, const std::string& from) {
    std::string bytes = read_file(stage.directory / "held/" + id);
    bytes[bytes.find(from)] ^= 1;
    write_file(stage.directory / "held/" + id, bytes);
  };
  spoil(head, "example.org");
  spoil(body, "Subject");
  write_file(stage.directory / "held/README", "x");
  Queue queue = stage.start();
  REQUIRE(queue.refresh());
  CHECK(queue.set_aside().size() == 1);
  CHECK(stage.log.count("error a message in the queue is damaged and was set aside in corrupt/") == 1);
  CHECK(stage.log.count("warn left alone in the queue") == 1);
  CHECK(all_due(queue) == Ids{body, good});
  CHECK(queue.take(body).value() == std::nullopt);
  CHECK(queue.set_aside().size() == 2);
  CHECK(take(queue, good).id == good);
  REQUIRE(queue.refresh());
  CHECK(entries(queue).size() == 1);
  CHECK(queue.sums()->set_aside == 2);
  CHECK(names(stage.directory / "corrupt") == Ids{head, head + ".why", body, body + ".why"});
}

TEST_CASE("a damaged message can be removed by hand", "[queue]") {
  QueueStage stage;
  const auto id = stage.put();
  Queue queue = stage.start();
  write_file(stage.directory / "held/" + id, "x");
  REQUIRE(queue.remove(id));
  CHECK(names(stage.directory / "held").empty());
  CHECK(names(stage.directory / "corrupt").empty());
}

TEST_CASE("notes that cannot be read keep a message from being sent", "[queue]") {
  QueueStage stage;
  const auto id = stage.put(2);
  Queue queue = stage.start();
  REQUIRE(::mkdir((stage.directory / "held/" + id + ".done").c_str(), 0700) == 0);
  CHECK(queue.take(id).value() == std::nullopt);
  CHECK(stage.log.count("warn left alone in the queue") == 1);
  CHECK(std::filesystem::exists(stage.directory / "held/" + id));
}

// --- the index

TEST_CASE("an index that was lost or damaged says the same again", "[queue]") {
  QueueStage stage;
  const auto over = stage.put();
  const auto partly = stage.put(3);
  const auto held = stage.put();
  const auto stuck = stage.put(1, "");
  for (int i = 0; i < 30; ++i) stage.put(2);
  std::vector<std::string> expected;
  {
    Queue queue = stage.start();
    REQUIRE(settle(queue, sent(over)));
    REQUIRE(settle(queue, {partly, {0}, {{1, smtp::Reply(550, "no")}}, {{2, smtp::Reply(451, "later")}}, {}}));
    REQUIRE(queue.hold(held));
    REQUIRE(settle(queue, failed(stuck)));
    expected = standings(queue);
    CHECK(expected.size() == 33);
  }
  const std::string path = stage.directory / "index.db";
  const std::string whole = read_file(path);
  REQUIRE(whole.size() > 8192);
  std::vector<std::string> versions{"", std::string(100, '\0'), std::string(whole.size(), 'x'), whole + whole};
  for (std::size_t length = 1; length < whole.size(); length *= 2) versions.push_back(whole.substr(0, length));
  for (std::size_t page = 0; page < whole.size(); page += 4096) {
    for (const char filler : {'\0', '\xff', 'x'}) {
      std::string spoiled = whole;
      spoiled.replace(page, 4096, 4096, filler);
      versions.push_back(spoiled);
    }
  }
  for (std::size_t i = 0; i < versions.size(); ++i) {
    CAPTURE(i);
    lose_index(stage);
    write_file(path, versions[i]);
    stage.log.lines.clear();
    {
      // Somebody who only looks, and repairs nothing.
      Queue queue = stage.open();
      REQUIRE(queue.refresh());
      CHECK(standings(queue) == expected);
    }
    Queue queue = stage.start();
    CHECK(standings(queue) == expected);
    CHECK(queue.due(true, 100)->size() == 31);
    CHECK(stage.log.count("error") == 0);
    const bool was_said = stage.log.count("warn the index of the queue") > 0;
    const bool was_repaired = stage.log.count("is made anew") > 0;
    CHECK(was_said == was_repaired);
    stage.log.lines.clear();
    Queue next = stage.start();
    CHECK(standings(next) == expected);
    CHECK(stage.log.lines.empty());
  }
}

TEST_CASE("an index that is damaged while it is open is made anew", "[queue]") {
  QueueStage stage;
  for (int i = 0; i < 200; ++i) stage.put(2);
  { Queue queue = stage.start(); }
  const std::string path = stage.directory / "index.db";
  const auto size = std::filesystem::file_size(path);
  const bool as_holder = GENERATE(true, false);
  Queue queue = stage.open();
  if (as_holder) REQUIRE(queue.recover());
  std::string bytes = read_file(path);
  bytes.replace(4096, size - 4096, size - 4096, 'x');
  write_file(path, bytes);
  REQUIRE(queue.refresh());
  CHECK(entries(queue).size() == 200);
  CHECK(all_due(queue).size() == 200);
  CHECK(stage.log.count("is made anew") == (as_holder ? 1 : 0));
  Queue next = stage.open();
  REQUIRE(next.refresh());
  CHECK(entries(next).size() == 200);
}

TEST_CASE("an index that cannot be opened holds up nothing", "[queue]") {
  QueueStage stage;
  const auto id = stage.put(2);
  REQUIRE(::mkdir((stage.directory / "index.db").c_str(), 0700) == 0);
  Queue queue = stage.start();
  CHECK(stage.log.count("warn the index of the queue cannot be used") == 1);
  CHECK(all_due(queue) == Ids{id});
  const auto letter = take(queue, id);
  REQUIRE(settle(queue, {id, {0}, {}, {{1, smtp::Reply(451, "later")}}, {}}));
  CHECK(all_due(queue).empty());
  CHECK(entries(queue).at(0).recipients.at(0).standing == Standing::sent);
}

TEST_CASE("a hand that cannot write the schedule says so", "[queue]") {
  QueueStage stage;
  const auto id = stage.put();
  REQUIRE(::mkdir((stage.directory / "index.db").c_str(), 0700) == 0);
  Queue queue = stage.open();
  CHECK_FALSE(queue.retry(id));
  CHECK(queue.hold(id));  // a note, for which the index is not needed
}

TEST_CASE("an index that cannot grow is given up for this run, with what it knows", "[queue]") {
  QueueStage stage;
  const auto early = stage.put();
  {
    Queue queue = stage.start();
    REQUIRE(settle(queue, put_off(early)));
  }
  std::vector<std::string> ids;
  for (int i = 0; i < 900; ++i) ids.push_back(stage.put());
  const pid_t child = ::fork();
  if (child == 0) {
    // SIGXFSZ or EFBIG beyond 64 KiB, which no message here has.
    ::signal(SIGXFSZ, SIG_IGN);
    Queue queue = stage.open();
    const rlimit limit{65536, 65536};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    bool good = queue.recover() && queue.refresh();
    good = good && stage.log.count("warn the index of the queue cannot be used") == 1;
    good = good && queue.due(false, 1000)->size() == 900 && queue.due(true, 1000) == Ids{early};
    for (const auto& id : ids) good = good && settle(queue, sent(id));
    good = good && entries(queue).size() == 1;
    ::_exit(good ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  Queue queue = stage.start();
  CHECK(entries(queue).size() == 1);
  CHECK(all_due(queue).empty());
}

TEST_CASE("a row that lags behind the notes is put right, and never ahead of them", "[queue]") {
  QueueStage stage;
  const auto id = stage.put(2);
  Queue queue = stage.start();
  // As when the process ended between the notes and the index.
  REQUIRE(stage.store().note(id, {"hold"}));
  CHECK(all_due(queue) == Ids{id});
  CHECK(queue.take(id).value() == std::nullopt);
  CHECK(entries(queue).at(0).stopped == Stopped::held);
  REQUIRE(stage.store().note(id, {"release", "failed 0 1800000000 550 no"}));
  CHECK(entries(queue).at(0).stopped == Stopped::held);
  REQUIRE(queue.refresh());
  CHECK(entries(queue).at(0).stopped == Stopped::no);
  CHECK(queue.notices_due(false, 1) == Ids{id});
  REQUIRE(stage.store().note(id, {"told 0", "sent 1"}));
  REQUIRE(queue.refresh());
  CHECK(entries(queue).empty());
  CHECK(names(stage.directory / "held").empty());
}

TEST_CASE("the sizes of notes that the index knows are those of the files", "[queue]") {
  QueueStage stage;
  const auto id = stage.put(3);
  {
    Queue queue = stage.start();
    REQUIRE(settle(queue, sent(id)));
    REQUIRE(settle(queue, failed(id, 1)));
    REQUIRE(queue.hold(id));
    REQUIRE(queue.release(id));
    auto notice = notice_about(queue, id);
    REQUIRE(notice);
    REQUIRE(queue.settle_notice(*notice, {How::undeliverable, "550 no"}));
  }
  // Nothing to learn: the message is not opened.
  RecordingFiles files;
  Queue queue = stage.start(files);
  CHECK(std::none_of(files.calls.begin(), files.calls.end(),
                     [](const std::string& call) { return call.starts_with("open held"); }));
}

TEST_CASE("refresh reads nothing that it knows, and due() nothing at all", "[queue]") {
  QueueStage stage;
  for (int i = 0; i < 5; ++i) stage.put();
  { Queue queue = stage.start(); }
  const auto fresh = stage.put();
  RecordingFiles files;
  Queue queue = stage.start(files);
  std::vector<std::string> opened;
  for (const auto& call : files.calls) {
    if (call.starts_with("open held")) opened.push_back(call);
  }
  CHECK(opened == std::vector<std::string>{"open held/" + fresh, "open held/" + fresh + ".done"});
  files.calls.clear();
  CHECK(all_due(queue).size() == 6);
  CHECK(queue.notices_due(false, 10) == Ids{});
  CHECK(entries(queue).size() == 6);
  CHECK(files.calls.empty());
}

TEST_CASE("lists come in pages, in the order of arrival, and stop where they are told", "[queue]") {
  QueueStage stage;
  std::vector<std::string> ids;
  for (int i = 0; i < 1203; ++i) {
    stage.clock.pass(1s);
    ids.push_back(stage.put(static_cast<std::size_t>(1 + i % 3)));
  }
  Queue queue = stage.start();
  const auto all = entries(queue);
  REQUIRE(all.size() == ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    CHECK(all[i].id == ids[i]);
    CHECK(all[i].recipients.size() == 1 + i % 3);
  }
  std::size_t seen = 0;
  REQUIRE(queue.list([&](const Entry&) { return ++seen < 700; }));
  CHECK(seen == 700);
  const auto sums = queue.sums().value();
  CHECK(sums.messages == ids.size());
  CHECK(sums.oldest == all.front().arrival);
  CHECK(sums.next_try == all.front().arrival);
}

// --- faults

namespace {

// Runs `act` on a queue with one message of three recipients (the first sent, the second failed), with each file
// operation failing in turn, in each way; then a sound queue must see a legal state.
template <class Act, class Check>
void with_each_fault(Act act, Check check) {
  for (const auto how : {FailingFiles::How::refuse, FailingFiles::How::deny, FailingFiles::How::die}) {
    std::size_t which = 1;
    for (;; ++which) {
      CAPTURE(static_cast<int>(how), which);
      QueueStage stage;
      const auto id = stage.put(3);
      const auto other = stage.put();
      {
        Queue before = stage.start();
        REQUIRE(before.settle({{id, {0}, {{1, smtp::Reply(550, "no")}}, {}, {}}}).front());
      }
      FailingFiles files(which, how, EIO);
      bool good = false;
      {
        auto queue = Queue::in(stage.directory.path(), stage.options, stage.clock, stage.log, files);
        good = queue && act(stage, *queue, id);
      }
      Queue after = stage.start();
      CHECK(names(stage.directory / "tmp").empty());
      CHECK(names(stage.directory / "corrupt").empty());
      std::optional<Entry> entry;
      for (const auto& one : entries(after)) {
        if (one.id == id) entry = one;
      }
      CHECK(after.show(other));
      if (entry) {
        CHECK(entry->recipients.at(0).standing == Standing::sent);
        CHECK(entry->recipients.at(1).standing >= Standing::failed);
      }
      check(good, entry);
      lose_index(stage);
      const auto known = standings(after);
      Queue anew = stage.start();
      CHECK(standings(anew) == known);
      if (!files.reached()) {
        CHECK(good);
        break;
      }
    }
    CHECK(which > 5);
  }
}

}  // namespace

TEST_CASE("settling that fails anywhere loses nothing, and is not tried again in this process", "[queue]") {
  with_each_fault(
      [](QueueStage&, Queue& queue, const std::string& id) {
        if (!queue.refresh()) return false;
        auto letter = queue.take(id);
        if (!letter || !*letter) return false;
        const auto settled = settle(queue, sent(id, {2}));
        if (settled) return true;
        letter->reset();
        CHECK(queue.take(id).value() == std::nullopt);
        CHECK(queue.take_notice(id).value() == std::nullopt);
        CHECK(all_due(queue, true).empty() == false);  // the other one
        return false;
      },
      [](bool good, const std::optional<Entry>& entry) {
        REQUIRE(entry);
        if (good) CHECK(entry->recipients.at(2).standing == Standing::sent);
      });
}

TEST_CASE("ending a message that fails anywhere leaves it, or ends it", "[queue]") {
  with_each_fault(
      [](QueueStage&, Queue& queue, const std::string& id) {
        auto notice = queue.take_notice(id);
        if (!notice || !*notice) return false;
        if (!settle(queue, sent(id, {2}))) return false;
        return queue.settle_notice(**notice, {How::told, ""}).has_value();
      },
      [](bool good, const std::optional<Entry>& entry) {
        if (good) CHECK_FALSE(entry);
        if (entry && entry->recipients.at(1).standing == Standing::told) CHECK_FALSE(good);
      });
}

TEST_CASE("holding, releasing and removing that fail anywhere leave what was there, or do it", "[queue]") {
  with_each_fault([](QueueStage&, Queue& queue, const std::string& id) { return queue.hold(id).has_value(); },
                  [](bool good, const std::optional<Entry>& entry) {
                    REQUIRE(entry);
                    if (good) CHECK(entry->stopped == Stopped::held);
                  });
  with_each_fault([](QueueStage&, Queue& queue, const std::string& id) { return queue.hold(id) && queue.release(id); },
                  [](bool good, const std::optional<Entry>& entry) {
                    REQUIRE(entry);
                    if (good) CHECK(entry->stopped == Stopped::no);
                  });
  with_each_fault([](QueueStage&, Queue& queue, const std::string& id) { return queue.remove(id).has_value(); },
                  [](bool good, const std::optional<Entry>& entry) {
                    if (good) CHECK_FALSE(entry);
                  });
}

TEST_CASE("one message's fault in a batch is its own", "[queue]") {
  for (std::size_t which = 1;; ++which) {
    CAPTURE(which);
    QueueStage stage;
    const Ids ids{stage.put(), stage.put(2), stage.put()};
    Queue sound = stage.start();
    FailingFiles files(which, FailingFiles::How::refuse, EIO);
    auto queue = Queue::in(stage.directory.path(), stage.options, stage.clock, stage.log, files);
    if (!queue) continue;
    const auto results = queue->settle({sent(ids[0]), sent(ids[1]), sent(ids[2])});
    REQUIRE(results.size() == 3);
    REQUIRE(sound.refresh());
    const auto number = static_cast<std::size_t>(
        std::count_if(results.begin(), results.end(), [](const Result<void>& result) { return result.has_value(); }));
    const bool sync_failed = number == 0;
    CHECK((number >= 2 || sync_failed));
    for (const std::size_t i : {0U, 2U}) {
      if (results[i]) CHECK(sound.show(ids[i]).error().code == Errc::not_found);
    }
    if (results[1]) CHECK(sound.show(ids[1])->recipients.at(0).standing == Standing::sent);
    if (!files.reached()) {
      CHECK(number == 3);
      break;
    }
  }
}

// --- many at once

TEST_CASE("one sends while others look and put", "[queue]") {
  QueueStage stage;
  constexpr int number = 120;
  for (int i = 0; i < number; ++i) stage.put();
  const pid_t looker = ::fork();
  if (looker == 0) {
    bool good = true;
    for (int i = 0; i < 40; ++i) {
      Queue queue = stage.open();
      good = good && queue.refresh() && queue.sums() && queue.list([](const Entry&) { return true; });
    }
    ::_exit(good && stage.log.lines.empty() ? 0 : 1);
  }
  Queue queue = stage.start();
  std::size_t done = 0;
  std::size_t rounds = 0;
  // The disk's work on a thread of its own, as a flush has it.
  for (auto ids = all_due(queue); !ids.empty(); ids = all_due(queue)) {
    for (const auto& id : ids) {
      std::optional<Letter> letter = take(queue, id);
      std::thread disk([&] {
        if (settle(queue, sent(id))) ++done;
      });
      static_cast<void>(queue.has_due(false));
      REQUIRE(queue.sums());
      disk.join();
      if (++rounds % 10 == 0) static_cast<void>(stage.put());
    }
    REQUIRE(queue.refresh());
    if (rounds > 2 * number) break;
  }
  CHECK(done == rounds);
  int status = -1;
  REQUIRE(::waitpid(looker, &status, 0) == looker);
  CHECK(status == 0);
  REQUIRE(queue.refresh());
  CHECK(entries(queue).empty());
  CHECK(names(stage.directory / "held").empty());
}

TEST_CASE("another user's queue is looked at by root, and by nobody else", "[queue][root]") {
  if (::geteuid() != 0) return;
  QueueStage stage;
  constexpr uid_t owner = 12345;
  const pid_t child = ::fork();
  if (child == 0) {
    if (::chown(stage.directory.path().c_str(), owner, owner) != 0 || ::setresuid(owner, owner, owner) != 0) ::_exit(1);
    stage.put();
    { Queue queue = stage.start(); }
    ::_exit(0);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  Queue queue = stage.open();
  REQUIRE(queue.refresh());
  const auto all = entries(queue);
  REQUIRE(all.size() == 1);
  CHECK(queue.hold(all[0].id).error().code == Errc::denied);
  CHECK(queue.retry(all[0].id).error().code == Errc::denied);
  for (const auto& name : names(stage.directory / "held")) {
    struct stat found {};
    REQUIRE(::stat((stage.directory / "held/" + name).c_str(), &found) == 0);
    CHECK(found.st_uid == owner);
  }

  const pid_t stranger = ::fork();
  if (stranger == 0) {
    if (::setresuid(owner + 1, owner + 1, owner + 1) != 0) ::_exit(1);
    const auto opened = Queue::in(stage.directory.path(), stage.options, stage.clock, stage.log);
    ::_exit(!opened && opened.error().code == Errc::denied ? 0 : 1);
  }
  REQUIRE(::waitpid(stranger, &status, 0) == stranger);
  CHECK(status == 0);
}
